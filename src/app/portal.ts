// What the portal is told of the rest: whom people can sign in with, and where.

import type { Config } from '../config/config.ts';
import type { ErrorAnswerOptions } from '../error-handler.ts';
import { loginUrlOf } from '../identity/sign-in/addresses.ts';
import type { SignInLink } from '../portal/page.ts';
import { isForPeople, pageOfError } from '../portal/portal.ts';

const labels: Readonly<Record<string, string>> = { google: 'Google', github: 'GitHub', microsoft: 'Microsoft' };

/** Whom people can sign in with, and come back from to the path. */
export function signInLinksOf({ server, auth }: Config): (returnTo: string) => readonly SignInLink[] {
  const { portalPlace: portal } = server;
  if (portal === null || auth.signIn === null) return () => [];
  const { providers } = auth.signIn;
  return (returnTo) => {
    const query = `?returnTo=${encodeURIComponent(returnTo)}`;
    return providers.map(({ name }) => ({ label: labels[name] ?? name, url: loginUrlOf(portal, name, query) }));
  };
}

/** What people see in place of a page that cannot be shown. */
export function errorPagesOf(config: Config): ErrorAnswerOptions['pageOf'] {
  const options = { config, signInLinks: signInLinksOf(config) };
  return (error, request) => (isForPeople(request) ? pageOfError(error, request, options) : null);
}
