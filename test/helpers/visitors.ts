// People at a gateway whose provider vouches for whoever the test wants: browsers that have signed in, and requests that
// name a session wherever they are sent.

import type { Test } from 'tap';
import { CookieJar } from './cookie-jar.ts';
import type { Dialect } from './databases.ts';
import { OddProvider } from './odd-provider.ts';
import {
  providerYaml,
  type SignInGateway,
  type SignInSettings,
  signIn,
  startSignInGateway,
} from './sign-in-gateways.ts';

export interface VisitedGateway extends SignInGateway {
  readonly provider: OddProvider;
  /** Signs somebody in, in a browser that may have been here before. */
  enter(person: string, jar?: CookieJar): Promise<CookieJar>;
  /** One more instance, with the same database, seen by browsers as the same. */
  startAnother(t: Test): Promise<SignInGateway>;
}

type VisitedSettings = Omit<SignInSettings, 'providers'>;

/** A gateway with the provider `idp`. */
export async function startVisitedGateway(
  t: Test,
  dialect: Dialect,
  settings: VisitedSettings = {},
): Promise<VisitedGateway> {
  const provider = await OddProvider.start(t);
  const { issuer, clientId, clientSecret: secret } = provider;
  const providers = providerYaml('idp', { issuer, clientId, secret });
  const gate = await startSignInGateway(t, dialect, { ...settings, providers });
  return {
    ...gate,
    provider,
    enter: async (person, jar = new CookieJar()) => {
      introduce(provider, person);
      const { hops } = await signIn(jar, gate.url, 'idp', '/landing');
      if (!hops.some(({ setCookies }) => setCookies.some((line) => sessionCookie.test(line)))) {
        throw new Error(`${person} did not get in: ${JSON.stringify(hops.map(({ url, status }) => [url, status]))}`);
      }
      return jar;
    },
    startAnother: (t) =>
      startSignInGateway(t, dialect, { ...settings, publicUrl: gate.url, database: gate.test, providers }),
  };
}

const sessionCookie = /^(?:__Host-)?tollgate_session=[\w-]{43};/;

/** Who comes back from the provider next. */
export function introduce(provider: OddProvider, person: string): void {
  const facts = { sub: person, name: person, email: `${person}@b.example`, email_verified: true };
  provider.claims = facts;
}

/** What a browser's session cookie holds. */
export function sessionIdIn(jar: CookieJar, url: string): string {
  const own = Object.entries(jar.cookiesFor(url)).filter(([name]) => name.endsWith('tollgate_session'));
  const [[, id] = []] = own;
  if (own.length !== 1 || id === undefined) throw new Error(`${own.length} sessions`);
  return id;
}

/** A request with a session, from a page of the same origin, to whichever instance. */
export function askAs(id: string, at: { gateway: { address: string } }, path = '/', init: RequestInit = {}) {
  const fields = { cookie: `tollgate_session=${id}`, 'sec-fetch-site': 'same-origin', ...init.headers };
  return fetch(at.gateway.address + path, { redirect: 'manual', ...init, headers: fields });
}

/** Status and code of an answer. */
export async function tellingOf(answer: Response | Promise<Response>): Promise<[number, string | null]> {
  const { status, headers } = await answer;
  return [status, headers.get('x-tollgate-error')];
}
