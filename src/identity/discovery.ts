// What an issuer says about itself: found by OpenID Connect Discovery §4, else by RFC 8414 §3, and believed only where it
// names the issuer that was asked for.

import type { ProviderClient } from './provider-client.ts';

/** A discovery document. Members are believed one by one, see `endpointIn`. */
export type IssuerDocument = Readonly<Record<string, unknown>>;

/** The document of an issuer. `isNamed` says which names it may give itself. Rejects when there is none to be had. */
export async function discover(
  client: Pick<ProviderClient, 'get'>,
  issuer: string,
  isNamed: (name: unknown) => boolean = (name) => name === issuer,
): Promise<IssuerDocument> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const places = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
  for (const place of places) {
    const document = await client.get(place);
    if (document === null) continue;
    const found = document as IssuerDocument;
    // A document that names another issuer could be anybody's (RFC 8414 §3.3).
    if (isNamed(found['issuer'])) return found;
    throw new Error(`the discovery document of ${issuer} names the issuer ${String(found['issuer'])}`);
  }
  throw new Error(`there is no discovery document at ${places.join(' or ')}`);
}

/** The URL that a member of a document names. It is https, or has the scheme of the issuer. Throws without one. */
export function endpointIn(document: IssuerDocument, member: string, issuer: string): string {
  const url = document[member];
  const scheme = new URL(issuer).protocol;
  if (typeof url !== 'string' || !URL.canParse(url) || ![scheme, 'https:'].includes(new URL(url).protocol)) {
    throw new Error(`the discovery document of ${issuer} names no ${scheme} URL as ${member}`);
  }
  return url;
}
