// Where a provider does its part of a sign-in: by its own document, or by the configuration. Pure.

import type { OAuth2Provider, OpenIdProvider } from '../../config/config.ts';
import { endpointIn, type IssuerDocument } from '../discovery.ts';

/** Where a provider does its part. */
export interface Endpoints {
  /** As answers and ID tokens name it, with `{tenantid}` where each tenant is one; empty without OpenID. */
  readonly issuer: string;
  /** Whether every answer names the issuer (RFC 9207). */
  readonly namesIssuer: boolean;
  readonly authorizationUrl: string;
  readonly tokenUrl: string;
  readonly userinfoUrl: string | null;
  /** How the client says who it is at the token endpoint: in the header unless that is not taken. */
  readonly clientAuthentication: 'header' | 'body';
}

/** By the discovery document of an issuer. Throws where something is missing. */
export function endpointsOf(document: IssuerDocument, issuer: string): Endpoints {
  const methods = document['token_endpoint_auth_methods_supported'];
  const takesHeader = !Array.isArray(methods) || methods.includes('client_secret_basic');
  return {
    issuer: String(document['issuer']),
    namesIssuer: document['authorization_response_iss_parameter_supported'] === true,
    authorizationUrl: endpointIn(document, 'authorization_endpoint', issuer),
    tokenUrl: endpointIn(document, 'token_endpoint', issuer),
    userinfoUrl: document['userinfo_endpoint'] === undefined ? null : endpointIn(document, 'userinfo_endpoint', issuer),
    clientAuthentication: takesHeader ? 'header' : 'body',
  };
}

/** By the configuration of a provider without OpenID. GitHub documents the client in the body alone. */
export function plainEndpoints({ authorizationUrl, tokenUrl, userinfoUrl, emailsUrl }: OAuth2Provider): Endpoints {
  const clientAuthentication = emailsUrl === null ? 'header' : 'body';
  return { issuer: '', namesIssuer: false, authorizationUrl, tokenUrl, userinfoUrl, clientAuthentication };
}

/**
 * Which names the document of a provider may give it. That of one tenant of Microsoft's names it by its id, whatever it is
 * called in the configuration; that of many has a place for the id.
 */
export function isNamedBy({ issuer, tenants }: OpenIdProvider): (name: unknown) => boolean {
  if (tenants === null) return (name) => name === issuer;
  const path = tenants === 'one' ? /^\/[0-9a-f-]{36}\/v2\.0$/ : /^\/(\{tenantid\}|[0-9a-f-]{36})\/v2\.0$/;
  const { origin } = new URL(issuer);
  return (name) => typeof name === 'string' && name.startsWith(origin) && path.test(name.slice(origin.length));
}
