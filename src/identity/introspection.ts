// Access tokens that say nothing by themselves: their provider is asked about each (RFC 7662), and its word remembered for
// a minute.

import { hash } from 'node:crypto';
import type { BaseLogger } from 'pino';
import type { IntrospectionEndpoint } from '../config/config.ts';
import { TollgateError } from '../errors.ts';
import type { CallerIdentity } from '../store/identities.ts';
import type { Change } from '../store/sync/exchange.ts';
import { isSubject } from './claims.ts';
import { KnownCallers, type LastWord } from './known-callers.ts';
import type { ProviderClient } from './provider-client.ts';
import type { GoodToken, TokenUsers } from './token-users.ts';

export interface IntrospectionOptions {
  readonly endpoint: IntrospectionEndpoint;
  readonly users: TokenUsers;
  readonly client: Pick<ProviderClient, 'post'>;
  readonly log: Pick<BaseLogger, 'warn' | 'debug'>;
}

/** So long a token that was revoked at its provider may go on. */
const ageMaxMs = 60_000;

export class Introspection {
  readonly #options: IntrospectionOptions;
  readonly #known = new KnownCallers((token) => this.#ask(token), ageMaxMs);
  /** So that an outage is one line in the log, and not one for each call. */
  #isFailing = false;

  constructor(options: IntrospectionOptions) {
    this.#options = options;
  }

  /**
   * Who is behind a token, or null when it is not good. At once when that is known, else a promise. Rejects with
   * TG_AUTH_UNAVAILABLE or TG_STORE_UNAVAILABLE when it cannot be told; throws TG_OVERLOADED.
   */
  find(token: string): CallerIdentity | null | Promise<CallerIdentity | null> {
    return this.#known.find(hash('sha256', token, 'base64url'), token);
  }

  /** Whether a token was found good before. */
  isKnown(token: string): boolean {
    return this.#known.get(hash('sha256', token, 'base64url')) !== undefined;
  }

  /** Forgets the users that changed. */
  forget(changes: readonly Change[]): void {
    this.#known.forget(changes);
  }

  /** Forgets everybody. */
  forgetAll(): void {
    this.#known.forgetAll();
  }

  async #ask(token: string): Promise<CallerIdentity | LastWord | null> {
    const { endpoint, users, log } = this.#options;
    const answer = await this.#answerFor(token);
    const good = goodTokenOf(answer, endpoint);
    if (typeof good !== 'string') return users.callerOf(good);
    log.debug({ why: good }, 'a token was refused');
    return null;
  }

  async #answerFor(token: string): Promise<Answer> {
    const { endpoint, client, log } = this.#options;
    const { url, clientId, clientSecret } = endpoint;
    try {
      const form = { token, token_type_hint: 'access_token' };
      const answer = await client.post(url, form, { id: clientId, secret: clientSecret });
      if (typeof (answer as Answer | null)?.['active'] !== 'boolean')
        throw new Error(`${url} does not say if a token is active`);
      this.#isFailing = false;
      return answer as Answer;
    } catch (error) {
      if (!this.#isFailing) log.warn({ introspection: url, err: error }, 'no word about tokens');
      this.#isFailing = true;
      throw new TollgateError('TG_AUTH_UNAVAILABLE', {}, error);
    }
  }
}

type Answer = Readonly<Record<string, unknown>>;

const issuerLengthMax = 512;
const programPrefix = 'client:';
/** By how much the clocks of provider and gateway may differ. */
const leewayS = 30;

/** The token that an answer speaks of, or why it is not good. */
function goodTokenOf(answer: Answer, { url, audience, clients }: IntrospectionEndpoint): GoodToken | string {
  const { active, exp, nbf, sub, aud, client_id: client, token_type: type } = answer;
  if (active !== true) return 'it is not active';
  if (answer['cnf'] !== undefined) return 'it is bound to a proof that is not looked at';
  // Refresh tokens are active as well; an audience of ours tells them apart, or the type that they do not have.
  const isBearer = type === undefined ? audience.length > 0 : String(type).toLowerCase() === 'bearer';
  if (!isBearer) return 'it is no bearer token';
  const nowS = Date.now() / 1000;
  if (exp !== undefined && !(typeof exp === 'number' && exp > nowS)) return 'it has ended';
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= nowS + leewayS)) return 'it does not count yet';
  const audiences = Array.isArray(aud) ? aud : [aud];
  if (audience.length > 0 && !audience.some((each) => audiences.includes(each))) return 'its audience is another';
  if (clients.length > 0 && !clients.some((each) => each === client)) return 'its client is another';
  // A program of its own has no subject. Without the word before it, somebody could be named like a program.
  if (typeof sub === 'string' && sub.startsWith(programPrefix)) return 'its subject is named like a program';
  const subject = sub ?? (typeof client === 'string' ? `${programPrefix}${client}` : undefined);
  if (!isSubject(subject)) return 'it names nobody';
  return {
    issuer: issuerOf(answer, url),
    subject,
    claims: answer,
    goodUntil: typeof exp === 'number' ? exp * 1000 : null,
  };
}

/** The issuer that the answer names, if it is at home where was asked: no provider speaks for the users of another. */
function issuerOf({ iss }: Answer, url: string): string {
  const { origin } = new URL(url);
  return typeof iss === 'string' && iss.length <= issuerLengthMax && URL.canParse(iss) && new URL(iss).origin === origin
    ? iss
    : origin;
}
