// The least that makes a gateway one where people can sign in, beside its upstreams. Its provider answers nobody.

import type { Settings } from '../helpers/gateways.ts';

export const signInSettings: Settings = {
  server: 'publicUrl: "http://127.0.0.1:8080"',
  auth: [
    'session: { secret: "0123456789abcdef0123456789abcdef" }',
    'allow: { emailDomains: ["*"] }',
    'providers: { idp: { issuer: "http://127.0.0.1:9", clientId: tollgate, clientSecret: secret-of-a-test } }',
  ].join(', '),
};
