// Who may do what operators may: programs that show a token of `auth.adminTokens`, people who have signed in and are listed in
// `auth.admins`. To everybody else what is there for operators does not exist.

import { hash, timingSafeEqual } from 'node:crypto';
import type { AdminToken } from '../config/config.ts';
import type { Sessions } from './sessions.ts';

export interface OperatorsOptions {
  readonly tokens: readonly AdminToken[];
  /** Null where nobody can sign in. */
  readonly sessions: Pick<Sessions, 'idIn' | 'findOperator'> | null;
  /** Header fields in which API keys are looked for, lower case: who shows one is no operator. */
  readonly keyFields: readonly string[];
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

  /** By what name the ledger knows who asks; null for everybody else. The first credential that is present decides. */
  async find({ method, headers }: Request): Promise<string | null> {
    const { keyFields, sessions } = this.#options;
    const { authorization } = headers;
    if (authorization !== undefined) return this.#byToken(String(authorization));
    if (keyFields.some((field) => headers[field] !== undefined)) return null;
    const session = sessions?.idIn({ headers }, method === 'GET' ? 'read' : 'change') ?? null;
    return session === null || sessions === null ? null : sessions.findOperator(session);
  }

  /** Compares with all of them, in a time that does not tell how much of one was right. */
  #byToken(authorization: string): string | null {
    const digest = digestOf(/^bearer +(.*)$/i.exec(authorization)?.[1] ?? '');
    let found: string | null = null;
    for (const token of this.#tokens) if (timingSafeEqual(token.digest, digest)) found = token.name;
    return found;
  }
}

function digestOf(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}
