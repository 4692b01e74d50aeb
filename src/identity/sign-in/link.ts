// The link to one provider of sign-in: where it is, how it is asked, and who it says has signed in. It is found when it is
// first needed, so that a provider that is down keeps nobody from starting the gateway.

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { BaseLogger } from 'pino';
import type { OpenIdProvider, Place, SignInProvider } from '../../config/config.ts';
import { TollgateError } from '../../errors.ts';
import type { Person } from '../../store/sign-ups.ts';
import { discover } from '../discovery.ts';
import { IssuerKeys } from '../issuer-keys.ts';
import type { ProviderClient } from '../provider-client.ts';
import { type Endpoints, endpointsOf, isNamedBy, plainEndpoints } from './endpoints.ts';
import { codeIn, isRefusal, Refused, reasonOf } from './failures.ts';
import { clearCookies, type OAuthFlow, openFlow } from './oauth-flow.ts';
import { openIdPerson, plainPerson } from './people.ts';
import { nonceOf } from './state.ts';

export interface LinkOptions {
  readonly provider: SignInProvider;
  readonly portal: Place;
  readonly client: ProviderClient;
  readonly log: Pick<BaseLogger, 'warn'>;
}

interface Opened {
  readonly endpoints: Endpoints;
  readonly flow: OAuthFlow;
  readonly at: number;
}

/** A discovery document is read again after this; where that fails, the last one is good. */
const documentAgeMaxMs = 60 * 60_000;

export class ProviderLink {
  readonly provider: SignInProvider;
  readonly #options: LinkOptions;
  readonly #keys: IssuerKeys | null;
  #opened: Opened | null = null;
  #opening: Promise<Opened> | null = null;

  constructor(options: LinkOptions) {
    this.provider = options.provider;
    this.#options = options;
    this.#keys = options.provider.kind === 'openid' ? this.#keysOf(options.provider) : null;
  }

  /**
   * Where the browser has to go to sign in, with this state; cookies of the sign-in are set on the reply. Rejects
   * TG_PROVIDER_UNAVAILABLE.
   */
  async begin(request: FastifyRequest, reply: FastifyReply, state: string): Promise<string> {
    const { flow } = await this.#open();
    const url = await flow.begin(request, reply, state);
    if (this.provider.kind === 'openid') url.searchParams.set('nonce', nonceOf(state));
    return url.href;
  }

  /**
   * Who has signed in, by the provider's answer. `checkState` throws unless its state is one that this browser began with;
   * the cookies of the sign-in end with it. Rejects with TG_SIGN_IN_FAILED or TG_PROVIDER_UNAVAILABLE, and what has failed
   * goes to the log.
   */
  async finish(request: FastifyRequest, reply: FastifyReply, checkState: () => void): Promise<Person> {
    const { endpoints, flow } = await this.#open();
    const { client, portal } = this.#options;
    const { provider } = this;
    const answer = request.query as ProviderAnswer;
    try {
      // A stranger's answer ends no sign-in that is under way.
      checkState();
      clearCookies(reply, portal, provider.name);
      checkAnswer(answer, endpoints);
      const tokens = await flow.exchange(request, reply);
      const { access_token: accessToken, id_token: idToken } = tokens;
      if (typeof accessToken !== 'string') throw new Refused(`no token: ${codeIn(tokens)}`);
      if (provider.kind === 'oauth2') return await plainPerson(provider, accessToken, client);
      if (typeof idToken !== 'string' || this.#keys === null) throw new Refused('no ID token');
      const terms = { provider, keys: this.#keys, issuer: endpoints.issuer, nonce: nonceOf(answer.state ?? '') };
      return await openIdPerson({ accessToken, idToken }, terms, endpoints.userinfoUrl, client);
    } catch (error) {
      throw this.#tellFailure(error);
    }
  }

  /** What went wrong, for the caller in few words. Never the error itself: it may hold codes and tokens. */
  #tellFailure(error: unknown): TollgateError {
    this.#options.log.warn({ provider: this.provider.name, why: reasonOf(error) }, 'a sign-in failed');
    return new TollgateError(isRefusal(error) ? 'TG_SIGN_IN_FAILED' : 'TG_PROVIDER_UNAVAILABLE');
  }

  #open(): Promise<Opened> {
    const { provider } = this;
    const isDue = provider.kind === 'openid' && performance.now() - (this.#opened?.at ?? 0) > documentAgeMaxMs;
    if (this.#opened !== null && !isDue) return Promise.resolve(this.#opened);
    this.#opening ??= this.#openNow().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #openNow(): Promise<Opened> {
    const { provider, portal, client, log } = this.#options;
    try {
      const endpoints =
        provider.kind === 'openid'
          ? endpointsOf(await discover(client, provider.issuer, isNamedBy(provider)), provider.issuer)
          : plainEndpoints(provider);
      const isSame = JSON.stringify(endpoints) === JSON.stringify(this.#opened?.endpoints);
      const flow = (isSame ? this.#opened?.flow : undefined) ?? (await openFlow(provider, portal, endpoints));
      this.#opened = { endpoints, flow, at: performance.now() };
    } catch (error) {
      log.warn({ provider: provider.name, why: String(error) }, 'a provider could not be found');
      if (this.#opened === null) throw new TollgateError('TG_PROVIDER_UNAVAILABLE');
      this.#opened = { ...this.#opened, at: performance.now() };
    }
    return this.#opened;
  }

  #keysOf(provider: OpenIdProvider): IssuerKeys {
    const { client, log } = this.#options;
    return new IssuerKeys({
      issuer: provider.issuer,
      isNamed: isNamedBy(provider),
      client,
      onChanged: () => {},
      onFailed: (error) => log.warn({ provider: provider.name, why: String(error) }, 'no keys of a provider'),
      now: () => performance.now(),
    });
  }
}

/** What a provider sends a browser back with. */
export interface ProviderAnswer {
  readonly code?: string;
  readonly state?: string;
  readonly iss?: string;
  readonly error?: string;
}

/** RFC 9207 §2.4: an answer of another issuer, or of none where there should be one, is somebody else's. */
function checkAnswer({ code, iss, error }: ProviderAnswer, { issuer, namesIssuer }: Endpoints): void {
  const isTemplate = issuer.includes('{');
  if (issuer !== '' && !isTemplate && (iss === undefined ? namesIssuer : iss !== issuer)) {
    throw new Refused('the answer is of another issuer');
  }
  if (error !== undefined) throw new Refused(`the provider said ${codeIn({ error })}`);
  if (code === undefined || code === '') throw new Refused('the answer has no code');
}
