// The ID token of a sign-in: who signed in, said by the provider to us and to nobody else (OpenID Connect Core §3.1.3.7).

import { errors, type JWTPayload, jwtVerify } from 'jose';
import { algorithms } from '../../config/auth.ts';
import type { OpenIdProvider } from '../../config/config.ts';
import { isSubject } from '../claims.ts';
import type { IssuerKeys } from '../issuer-keys.ts';

/** By how much the clocks of provider and gateway may differ. */
const leewayS = 30;
/** An ID token is made for this sign-in: an old one is somebody's copy. */
const ageMaxS = 10 * 60;

export interface IdTokenTerms {
  readonly provider: OpenIdProvider;
  readonly keys: IssuerKeys;
  /** What the provider's document calls itself: with `{tenantid}` in it where each tenant is an issuer. */
  readonly issuer: string;
  readonly nonce: string;
}

/** The claims of a good ID token, whose `iss` and `sub` name somebody. Throws what is wrong with it. */
export async function verifyIdToken(
  token: string,
  terms: IdTokenTerms,
): Promise<JWTPayload & { iss: string; sub: string }> {
  const { provider, keys, issuer, nonce } = terms;
  const { payload } = await jwtVerify(token, keys.find, {
    audience: provider.clientId,
    algorithms: [...algorithms],
    clockTolerance: leewayS,
    maxTokenAge: ageMaxS,
    requiredClaims: ['iss', 'sub', 'exp', 'iat'],
  });
  const { iss = '', sub } = payload;
  if (!isIssuer(issuer, payload)) throw new errors.JWTClaimValidationFailed('its issuer is another', payload, 'iss');
  if (payload['nonce'] !== nonce) throw new errors.JWTClaimValidationFailed('its nonce is another', payload, 'nonce');
  const isShared = Array.isArray(payload.aud) && payload.aud.length > 1;
  if ((isShared || payload['azp'] !== undefined) && payload['azp'] !== provider.clientId) {
    throw new errors.JWTClaimValidationFailed('it was issued to another client', payload, 'azp');
  }
  if (!isSubject(sub)) throw new errors.JWTClaimValidationFailed('it names nobody', payload, 'sub');
  return { ...payload, iss, sub };
}

/** Microsoft's tenants are issuers each, by the id of the tenant. */
function isIssuer(issuer: string, { iss, tid }: JWTPayload): boolean {
  if (!issuer.includes('{tenantid}')) return iss === issuer;
  return (
    typeof tid === 'string' &&
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(tid) &&
    iss === issuer.replace('{tenantid}', tid)
  );
}
