// Who has signed in, from what the provider says: an ID token and userinfo, or a document of its own. An address counts
// only where the provider vouches for it.

import type { OAuth2Provider, OpenIdProvider } from '../../config/config.ts';
import type { Person } from '../../store/sign-ups.ts';
import { addressIn, type Claims, isSubject, nameIn, personOf, pictureIn } from '../claims.ts';
import type { ProviderClient } from '../provider-client.ts';
import { Refused } from './failures.ts';
import { type IdTokenTerms, verifyIdToken } from './id-tokens.ts';

type Client = Pick<ProviderClient, 'get'>;

/** By the ID token, and the userinfo for what it does not say. Throws what is wrong. */
export async function openIdPerson(
  tokens: { accessToken: string; idToken: string },
  terms: IdTokenTerms,
  userinfoUrl: string | null,
  client: Client,
): Promise<Person> {
  const claims = await verifyIdToken(tokens.idToken, terms);
  const isComplete = claims['email'] !== undefined && claims['name'] !== undefined;
  const told =
    userinfoUrl === null || isComplete ? claims : withInfo(claims, await client.get(userinfoUrl, tokens.accessToken));
  const person = personOf(claims.iss, claims.sub, told);
  return isVouched(terms.provider, told) ? { ...person, email: addressIn(told['email']) } : { ...person, email: null };
}

/** What most providers keep out of ID tokens. The address and the word on it are one statement. */
function withInfo(claims: Claims, document: unknown): Claims {
  const info = document as Claims | null;
  // OpenID Connect Core §5.3.2: an answer about somebody else is no answer.
  if (info === null || info['sub'] !== claims['sub']) throw new Refused('the userinfo is about somebody else');
  const { email, email_verified, xms_edov } = claims['email'] === undefined ? info : claims;
  return { ...info, ...claims, email, email_verified, xms_edov };
}

function isVouched({ vouchedBy }: OpenIdProvider, claims: Claims): boolean {
  if (vouchedBy === 'provider') return true;
  if (vouchedBy === 'claim') return claims['email_verified'] === true;
  // Microsoft's word that the owner of the domain is the tenant's.
  return [true, 1, '1', 'true'].some((yes) => claims['xms_edov'] === yes);
}

/** By the document of a provider without OpenID. Throws what is wrong. */
export async function plainPerson(
  { userinfoUrl, emailsUrl, map, issuer, vouchedBy }: OAuth2Provider,
  accessToken: string,
  client: Client,
): Promise<Person> {
  const info = await client.get(userinfoUrl, accessToken);
  const id = memberOf(info, map.subject);
  const subject = typeof id === 'number' && Number.isSafeInteger(id) ? String(id) : id;
  if (!isSubject(subject)) throw new Refused('the userinfo names nobody');
  const isVouched = vouchedBy === 'provider' || memberOf(info, map.emailVerified) === true;
  const own = isVouched ? addressIn(memberOf(info, map.email)) : null;
  return {
    issuer,
    subject,
    email: emailsUrl === null ? own : primaryIn(await client.get(emailsUrl, accessToken)),
    name: nameIn(memberOf(info, map.name)),
    picture: pictureIn(memberOf(info, map.picture)),
  };
}

/** The primary address of a GitHub account, if it is verified. */
function primaryIn(list: unknown): string | null {
  if (!Array.isArray(list)) return null;
  const primary = list.find((entry: Claims | null) => entry?.['primary'] === true) as Claims | undefined;
  return primary?.['verified'] === true ? addressIn(primary['email']) : null;
}

/** A member of a document, or of a member of it: `data.user.id`. */
function memberOf(document: unknown, path: string): unknown {
  let value = document;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
