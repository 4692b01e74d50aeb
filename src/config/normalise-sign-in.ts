// How people sign in, once the file has passed every check: presets written out, and each provider as one of two kinds.

import type { ClaimMap, SignIn, SignInProvider } from './config.ts';
import { listOf, parseDuration, scopesOf } from './quantities.ts';
import type { ConfigFile } from './schema.ts';

type FileAuth = ConfigFile['auth'];
type FileProvider = FileAuth['providers'][string];

const openIdScope = 'openid email profile';
/** Tenants of Microsoft that stand for more than one, or for everybody's personal accounts, which have an id as well. */
const manyTenants = new Set(['common', 'organizations', 'consumers', '9188040d-6c67-4c5b-b112-36a304b66dad']);

const openIdMap: ClaimMap = {
  subject: 'sub',
  email: 'email',
  emailVerified: 'email_verified',
  name: 'name',
  picture: 'picture',
};

/** Sign-in, or null where there is nobody to sign in with. */
export function normaliseSignIn({ session, providers, allow, admins }: FileAuth): SignIn | null {
  const entries = Object.entries(providers);
  if (entries.length === 0) return null;
  const { emailDomains = [], emails = [] } = allow ?? {};
  return {
    secrets: listOf(session.secret),
    maxAge: parseDuration(session.maxAge),
    idleTimeout: parseDuration(session.idleTimeout),
    providers: entries.map(([name, provider]) => normaliseProvider(name, provider)),
    allow: {
      anyone: emailDomains.includes('*'),
      emailDomains: emailDomains.map((domain) => domain.toLowerCase()),
      emails: emails.map((email) => email.toLowerCase()),
    },
    admins: admins.map((admin) => {
      const colon = admin.indexOf(':');
      return { provider: admin.slice(0, colon), email: admin.slice(colon + 1).toLowerCase() };
    }),
  };
}

function normaliseProvider(name: string, provider: FileProvider): SignInProvider {
  const { clientId, clientSecret, trustEmail, tenant, scope } = provider;
  const common = { name, clientId, clientSecret };
  const vouchedBy = trustEmail ? 'provider' : 'claim';
  const openId = { ...common, kind: 'openid' as const, tenants: null, scope: scopeOf(scope, openIdScope) };
  if (name === 'google') return { ...openId, issuer: 'https://accounts.google.com', vouchedBy };
  if (name === 'microsoft') {
    const spelled = String(tenant).toLowerCase();
    const isFixed = !manyTenants.has(spelled);
    const issuer = `https://login.microsoftonline.com/${spelled}/v2.0`;
    const tenants = isFixed ? 'one' : 'many';
    return { ...openId, tenants, issuer, vouchedBy: isFixed || trustEmail ? 'provider' : 'edov' };
  }
  if (name === 'github') return normaliseGithub(common, provider);
  if (provider.issuer !== undefined) return { ...openId, issuer: provider.issuer, vouchedBy };
  const { authorizationUrl = '', tokenUrl = '', userinfoUrl = '', map = openIdMap } = provider;
  return {
    ...common,
    kind: 'oauth2',
    scope: scopeOf(scope, ''),
    authorizationUrl,
    tokenUrl,
    userinfoUrl,
    emailsUrl: null,
    // Whoever says who somebody is: what it calls people says nothing about those of another.
    issuer: userinfoUrl,
    map,
    vouchedBy,
  };
}

/** GitHub, or a GitHub Enterprise Server where its URLs are written. */
function normaliseGithub(common: { name: string; clientId: string; clientSecret: string }, provider: FileProvider) {
  const { authorizationUrl, tokenUrl, userinfoUrl, scope } = provider;
  const user = userinfoUrl ?? 'https://api.github.com/user';
  return {
    ...common,
    kind: 'oauth2' as const,
    scope: scopeOf(scope, 'read:user user:email'),
    authorizationUrl: authorizationUrl ?? 'https://github.com/login/oauth/authorize',
    tokenUrl: tokenUrl ?? 'https://github.com/login/oauth/access_token',
    userinfoUrl: user,
    emailsUrl: `${user.replace(/\/$/, '')}/emails`,
    issuer: userinfoUrl ?? 'https://github.com',
    map: { ...openIdMap, subject: 'id', picture: 'avatar_url' },
    vouchedBy: 'claim' as const,
  };
}

function scopeOf(scope: FileProvider['scope'], byDefault: string): string {
  return scope === undefined ? byDefault : scopesOf(scope).join(' ');
}
