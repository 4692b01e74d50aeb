// Sign-ins that a test takes apart: begun here, stopped before the answer is brought back, and brought back by whom the
// test likes.

import type { Test } from 'tap';
import type { CookieJar, Visited } from '../../helpers/cookie-jar.ts';
import type { Dialect } from '../../helpers/databases.ts';
import { OddProvider } from '../../helpers/odd-provider.ts';
import {
  providerYaml,
  type SignInGateway,
  type SignInSettings,
  startSignInGateway,
} from '../../helpers/sign-in-gateways.ts';

export interface OddGateway {
  readonly odd: OddProvider;
  readonly gate: SignInGateway;
}

export interface OddSettings extends Partial<SignInSettings> {
  readonly dialect?: Dialect;
  /** Further keys of the provider. */
  readonly ofProvider?: string;
}

/** A gateway with `odd`, a provider that says what the test likes. */
export async function startOddGateway(t: Test, settings: OddSettings = {}): Promise<OddGateway> {
  const { dialect = 'sqlite', ofProvider = '', ...others } = settings;
  const odd = await OddProvider.start(t);
  const gate = await startSignInGateway(t, dialect, { providers: oddYaml('odd', odd, ofProvider), ...others });
  return { odd, gate };
}

/** The provider as `auth.providers` names it. */
export function oddYaml(name: string, { issuer, clientId, clientSecret: secret }: OddProvider, further = ''): string {
  return providerYaml(name, { issuer, clientId, secret }).replace(/ \}$/, `, ${further} }`);
}

/** Begins a sign-in and goes to the provider; gives the address that the browser is sent back to, unvisited. */
export async function beginSignIn(jar: CookieJar, url: string, provider: string, returnTo?: string): Promise<string> {
  const query = returnTo === undefined ? '' : `?returnTo=${encodeURIComponent(returnTo)}`;
  const begun = await jar.fetch(`${url}/_tollgate/auth/login/${provider}${query}`);
  const answer = await fetch(locationOf(begun), { redirect: 'manual' });
  await answer.body?.cancel();
  return locationOf(answer);
}

export function locationOf({ status, headers }: Response): string {
  const location = headers.get('location');
  if (location === null) throw new Error(`${status} leads nowhere`);
  return location;
}

/** What a refusal says: status, code, and all that the page tells. */
export async function refusalOf({ response }: Pick<Visited, 'response'>): Promise<[number, string | null, string]> {
  const requestId = response.headers.get('x-request-id') ?? '';
  const [main = ''] = /<main.*<\/main>/s.exec(await response.text()) ?? [];
  const told = main
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return [response.status, response.headers.get('x-tollgate-error'), told.replace(requestId, 'ID')];
}

const refusal = (status: number, code: string, message: string) =>
  [status, code, `You are not signed in ${message} To the overview ${code} · request ID`] as const;

/** What a sign-in that is not to be trusted is answered with, whatever is wrong with it. */
export const failed = refusal(400, 'TG_SIGN_IN_FAILED', 'Signing in did not work. Please start again.');
/** What it is answered with where the provider is at fault. */
export const unavailable = refusal(
  503,
  'TG_PROVIDER_UNAVAILABLE',
  'The sign-in provider does not answer for the moment. Try again shortly.',
);
