// A client of a whole gateway that knows its API from the document alone: where operations are, what may be asked, and what
// answers may hold.

import type { Test } from 'tap';
import { CookieJar } from '../helpers/cookie-jar.ts';
import type { Dialect } from '../helpers/databases.ts';
import { noteCredential, noteCredentialIn } from '../helpers/evidence.ts';
import { TokenIssuer } from '../helpers/token-issuer.ts';
import { startVisitedGateway, type VisitedGateway } from '../helpers/visitors.ts';
import { type Asked, document, faultsOfAnswer, faultsOfRequest, type Operation, operations } from './api-document.ts';

export const place = '/_tollgate/openapi.json';
export const problems = 'application/problem+json';
const adminToken = noteCredential('an-admin-token-of-32-characters!');

export interface Ask extends Partial<Asked> {
  /** The name of a credential, of which the session is that of the client's browser; `browser` is that one, whoever has signed in. */
  readonly as?: string | null;
  readonly accept?: string;
}

export interface Told {
  readonly headers: Headers;
  /** Empty where there is none, or a page. */
  readonly body: Readonly<Record<string, unknown>>;
}

export class ApiClient {
  readonly gate: VisitedGateway;
  /** Operations that have been carried out. */
  readonly done = new Set<string>();
  readonly #browser = new CookieJar();
  readonly #server: string;
  readonly #credentials: Readonly<Record<string, Readonly<Record<string, string>>>>;

  private constructor(gate: VisitedGateway, key: string, token: string) {
    this.gate = gate;
    // As clients do: what is joined has one slash between its parts.
    this.#server = new URL(document.servers[0].url, gate.url + place).href.replace(/\/$/, '');
    this.#credentials = {
      apiKey: { authorization: `Bearer ${key}` },
      apiKeyField: { 'x-api-key': key },
      accessToken: { authorization: `Bearer ${token}` },
      adminToken: { authorization: `Bearer ${adminToken}` },
    };
  }

  /** At a gateway with every kind of credential, where `ann` is an operator. */
  static async start(t: Test, dialect: Dialect): Promise<ApiClient> {
    const { issuer, key } = await TokenIssuer.start(t);
    const auth = [
      'admins: [idp:ann@b.example]',
      `adminTokens: [{ name: billing, token: "${adminToken}" }]`,
      `bearer: [{ issuer: "${issuer.url}", audience: "${issuer.audience}" }]`,
    ];
    const gate = await startVisitedGateway(t, dialect, { auth: auth.join(', ') });
    return new ApiClient(gate, await gate.newKey('u', 1_000), await issuer.sign(key));
  }

  send(operation: Operation, { params = {}, query = {}, headers = {}, body, as = null, accept }: Ask) {
    const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
    const url = new URL(this.#server + path);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
    const fields = {
      ...headers,
      ...(as !== null && this.#credentials[as]),
      ...(accept !== undefined && { accept }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    const init = {
      method: operation.method,
      headers: fields,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    };
    return as === 'session' || as === 'browser'
      ? this.#browser.fetch(url.href, init)
      : fetch(url, { redirect: 'manual', ...init });
  }

  /** Asks what the document allows; the answer has this status or code, and is told there. */
  async ask(t: Test, id: string, expected: number | string, ask: Ask = {}): Promise<Told> {
    const operation = operationOf(id);
    const { as = null, params = {}, query = {}, headers = {}, body } = ask;
    if (as !== null && as !== 'browser') t.ok(operation.credentials.includes(as), `${id} takes ${as}`);
    t.same(faultsOfRequest(operation, { params, query, headers, body }), []);
    const answer = await this.send(operation, ask);
    const copy = answer.clone();
    t.equal(typeof expected === 'number' ? answer.status : answer.headers.get('x-tollgate-error'), expected, id);
    t.same(await faultsOfAnswer(operation, answer), []);
    if (answer.status < 400) this.done.add(id);
    const text = await copy.text();
    const told = /json/.test(answer.headers.get('content-type') ?? '') ? JSON.parse(text) : {};
    // Keys are shown when they are made.
    noteCredentialIn(told.key);
    return { headers: answer.headers, body: told };
  }

  /** Asks what the document does not allow; it is refused in the form that was asked for. */
  async refuse(t: Test, operation: Operation, status: number, ask: Ask): Promise<void> {
    const answer = await this.send(operation, ask);
    t.equal(answer.status, status, operation.id);
    t.equal(answer.headers.get('content-type')?.startsWith(problems), ask.accept === problems, operation.id);
    t.same(await faultsOfAnswer(operation, answer), []);
  }
}

function operationOf(id: string): Operation {
  const found = operations.get(id);
  if (found === undefined) throw new Error(`there is no ${id}`);
  return found;
}
