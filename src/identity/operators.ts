// Who may do what operators may: programs that show a token of `auth.adminTokens`, people who have signed in and are listed in
// `auth.admins`. To everybody else what is there for operators does not exist.

import { hash, timingSafeEqual } from 'node:crypto';
import type { AdminToken } from '../config/config.ts';
import { TollgateError } from '../errors.ts';
import { isOutage } from '../store/outage.ts';
import type { Attempts } from './attempts.ts';
import type { Sessions } from './sessions.ts';

export interface OperatorsOptions {
  readonly tokens: readonly AdminToken[];
  /** Null where nobody can sign in. */
  readonly sessions: Pick<Sessions, 'idIn' | 'findOperator'> | null;
  /** Header fields in which API keys are looked for, lower case: who shows one is no operator. */
  readonly keyFields: readonly string[];
  /** Credentials that are not good, by address. */
  readonly failures: Attempts;
  readonly isStoreUp: () => boolean;
}

/** What is read of a request. `IncomingMessage` is one. */
interface Request {
  readonly method?: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export class Operators {
  readonly #options: OperatorsOptions;
  readonly #tokens: readonly { readonly name: string; readonly digest: Buffer }[];

  constructor(options: OperatorsOptions) {
    this.#options = options;
    this.#tokens = options.tokens.map(({ name, token }) => ({ name, digest: digestOf(token) }));
  }

  /**
   * By what name the ledger knows who asks from this address; null for everybody else, and for people while the store cannot tell who
   * they are. The first credential that is present decides. Those that are no operator's are counted, as bad ones are elsewhere.
   */
  async find(request: Request, address: string): Promise<string | null> {
    const { failures } = this.#options;
    const shown = this.#shownIn(request);
    if (shown === null) return null;
    const look = async () => shown.look();
    const found = await (failures.isOver(address) ? failures.inTurn(address, look) : look());
    if (found === null) failures.take(address);
    return found;
  }

  /**
   * The same of who has signed in, where everybody may ask: those who are no operators are not counted. Rejects as look-ups
   * do, while it cannot be told who they are.
   */
  async findSignedIn(request: Request): Promise<string | null> {
    const { sessions, isStoreUp } = this.#options;
    const session = sessions?.idIn(request, 'read') ?? null;
    if (sessions === null || session === null) return null;
    if (!isStoreUp()) throw new TollgateError('TG_STORE_UNAVAILABLE');
    return sessions.findOperator(session);
  }

  #shownIn({ method, headers }: Request): { look(): string | null | Promise<string | null> } | null {
    const { keyFields, sessions } = this.#options;
    const token = tokenIn(headers);
    if (token !== null) return { look: () => this.#byToken(token) };
    if (keyFields.some((field) => field !== 'authorization' && headers[field] !== undefined))
      return { look: () => null };
    const session = sessions?.idIn({ headers }, method === 'GET' ? 'read' : 'change') ?? null;
    return session === null ? null : { look: () => this.#bySession(session) };
  }

  async #bySession(session: string): Promise<string | null> {
    const { sessions, isStoreUp } = this.#options;
    if (sessions === null || !isStoreUp()) return null;
    try {
      return await sessions.findOperator(session);
    } catch (error) {
      if (error instanceof TollgateError || isOutage(error)) return null;
      throw error;
    }
  }

  /** Compares with all of them, in a time that does not tell how much of one was right. */
  #byToken(token: string): string | null {
    const digest = digestOf(token);
    let found: string | null = null;
    for (const token of this.#tokens) if (timingSafeEqual(token.digest, digest)) found = token.name;
    return found;
  }
}

/** Another scheme, such as Basic, is meant for a proxy in front. */
function tokenIn({ authorization }: Request['headers']): string | null {
  return authorization === undefined ? null : (/^bearer(?: +|$)(.*)$/i.exec(String(authorization))?.[1] ?? null);
}

function digestOf(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}
