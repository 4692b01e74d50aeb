import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse, stringify } from 'yaml';
import { ConfigError, type ParsedConfig, parseConfig, type SignInProvider } from '../../src/config/config.ts';
import { fencesOf } from '../helpers/markdown.ts';

const small = 'upstreams:\n  api: http://h\nroutes:\n  - path: /\n    upstream: api\n';
const secret = 'a-secret-of-32-characters-or-more';
const credentials = `clientId: c, clientSecret: "\${CLIENT_SECRET}"`;
const env = { CLIENT_SECRET: 'hunter2', SESSION_SECRET: secret, ADMIN: 'hunter2:a@b.example' };
const read = (text: string): ParsedConfig => parseConfig(small + text, { file: 'gateway.yaml', env });

const behindProxy = 'publicUrl: https://api.example.com, trustedProxies: [10.0.0.1]';

/** A file whose people sign in. `auth` are lines such as `admins: []`; each provider is `name: keys`, without credentials. */
function signInFile(
  providers: Readonly<Record<string, string>>,
  { server = behindProxy, allow = '{ emailDomains: [example.com] }', session = '', auth = '' } = {},
): string {
  const lines = [
    `server: { ${server} }`,
    'auth:',
    `  session: { secret: "\${SESSION_SECRET}"${session} }`,
    `  allow: ${allow}`,
    ...(auth === '' ? [] : [`  ${auth}`]),
    '  providers:',
    ...Object.entries(providers).map(
      ([name, keys]) => `    ${name}: { ${[credentials, keys].filter(Boolean).join(', ')} }`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function providerOf(name: string, keys: string): SignInProvider | undefined {
  return read(signInFile({ [name]: keys })).config.auth.signIn?.providers[0];
}

/** What is said: problems, or else warnings, each with its remedy. */
function complaintsOf(text: string): string[] {
  const say = ({ message, remedy }: { message: string; remedy: string }) => `${message}. ${remedy}.`;
  try {
    return read(text).warnings.map(say);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(say);
    throw error;
  }
}

const openIdMap = {
  subject: 'sub',
  email: 'email',
  emailVerified: 'email_verified',
  name: 'name',
  picture: 'picture',
};
const plainUrls =
  'authorizationUrl: https://git.example.com/oauth/authorize, tokenUrl: https://git.example.com/oauth/token, ' +
  'userinfoUrl: https://git.example.com/api/user';

t.test('without providers nobody signs in, whatever else is written', async (t) => {
  t.equal(read('').config.auth.signIn, null);
  t.equal(read('auth: { allow: { emailDomains: ["*"] }, session: { maxAge: 1d } }\n').config.auth.signIn, null);
  t.equal(read('auth:\n  providers:\n').config.auth.signIn, null);
});

t.test('who may sign in is put into one spelling, and sessions have their documented lengths', async (t) => {
  const { signIn } = read(
    signInFile(
      { google: '' },
      {
        allow: '{ emailDomains: [Example.COM], emails: [Ada@Other.example] }',
        auth: 'admins: [google:Ops@Example.com]',
      },
    ),
  ).config.auth;
  t.match(signIn, { secrets: [secret], maxAge: 7 * 24 * 3_600_000, idleTimeout: 24 * 3_600_000 });
  t.same(signIn?.allow, { anyone: false, emailDomains: ['example.com'], emails: ['ada@other.example'] });
  t.same(signIn?.admins, [{ provider: 'google', email: 'ops@example.com' }]);
  t.equal(
    read(signInFile({ google: '' }, { allow: '{ emailDomains: ["*"] }' })).config.auth.signIn?.allow.anyone,
    true,
  );
});

t.test('a list of session secrets keeps its order: the first signs', async (t) => {
  const text = signInFile({ google: '' }).replace(
    `secret: "\${SESSION_SECRET}"`,
    `secret: ["\${SESSION_SECRET}", "\${SESSION_SECRET}-old"]`,
  );
  t.same(read(text).config.auth.signIn?.secrets, [secret, `${secret}-old`]);
});

t.test('google is Google, whose word on addresses is email_verified', async (t) => {
  t.match(providerOf('google', ''), {
    name: 'google',
    clientId: 'c',
    clientSecret: 'hunter2',
    kind: 'openid',
    scope: 'openid email profile',
    issuer: 'https://accounts.google.com',
    vouchedBy: 'claim',
  });
});

t.test('github is GitHub, or the Enterprise Server of the three URLs', async (t) => {
  const github = {
    name: 'github',
    clientId: 'c',
    clientSecret: 'hunter2',
    kind: 'oauth2',
    scope: 'read:user user:email',
    authorizationUrl: 'https://github.com/login/oauth/authorize',
    tokenUrl: 'https://github.com/login/oauth/access_token',
    userinfoUrl: 'https://api.github.com/user',
    emailsUrl: 'https://api.github.com/user/emails',
    issuer: 'https://github.com',
    map: { ...openIdMap, subject: 'id', picture: 'avatar_url' },
    vouchedBy: 'claim',
  };
  t.same(providerOf('github', ''), github);
  const urls = {
    authorizationUrl: 'https://git.example.com/login/oauth/authorize',
    tokenUrl: 'https://git.example.com/login/oauth/access_token',
    userinfoUrl: 'https://git.example.com/api/v3/user',
  };
  const keys = Object.entries(urls).map(([key, url]) => `${key}: ${url}`);
  t.same(providerOf('github', keys.join(', ')), {
    ...github,
    ...urls,
    emailsUrl: 'https://git.example.com/api/v3/user/emails',
    issuer: 'https://git.example.com/api/v3/user',
  });
});

t.test('microsoft vouches for the addresses of one tenant, and of all tenants only by xms_edov', async (t) => {
  const vouched = (keys: string) => {
    const provider = providerOf('microsoft', keys);
    return [provider?.issuer, provider?.vouchedBy];
  };
  const at = (tenant: string) => `https://login.microsoftonline.com/${tenant}/v2.0`;
  t.same(vouched('tenant: Contoso.onmicrosoft.com'), [at('contoso.onmicrosoft.com'), 'provider']);
  for (const tenant of ['common', 'Organizations', 'consumers', '9188040D-6c67-4c5b-b112-36a304b66dad']) {
    t.same(vouched(`tenant: ${tenant}`), [at(tenant.toLowerCase()), 'edov'], tenant);
  }
  t.same(vouched('tenant: common, trustEmail: true'), [at('common'), 'provider']);
});

t.test('any issuer is an OpenID provider, named as it names itself', async (t) => {
  t.match(providerOf('work', 'issuer: https://Login.example.com/realms/main/'), {
    kind: 'openid',
    issuer: 'https://Login.example.com/realms/main/',
    scope: 'openid email profile',
    vouchedBy: 'claim',
  });
  t.match(providerOf('work', 'issuer: https://login.example.com, trustEmail: true'), { vouchedBy: 'provider' });
});

t.test('three URLs are an OAuth 2 provider, whose map says what its members are called', async (t) => {
  t.match(providerOf('git', `${plainUrls}, map: { emailVerified: mail.ok }`), {
    kind: 'oauth2',
    scope: '',
    emailsUrl: null,
    issuer: 'https://git.example.com/api/user',
    map: { ...openIdMap, emailVerified: 'mail.ok' },
    vouchedBy: 'claim',
  });
  t.match(providerOf('git', `${plainUrls}, trustEmail: true`), { map: openIdMap, vouchedBy: 'provider' });
});

t.test('scopes are a text or a list, and mean the same', async (t) => {
  for (const scope of ['"openid  groups"', '[openid, groups]', '["openid groups"]']) {
    t.equal(providerOf('work', `issuer: https://login.example.com, scope: ${scope}`)?.scope, 'openid groups', scope);
  }
});

t.test('a provider may have any name of letters, such as constructor', async (t) => {
  const { signIn } = read(
    signInFile(
      { constructor: 'issuer: https://a.example', toString: 'issuer: https://b.example' },
      { auth: 'admins: [constructor:ops@example.com]' },
    ),
  ).config.auth;
  t.same(
    signIn?.providers.map(({ name, issuer }) => [name, issuer]),
    [
      ['constructor', 'https://a.example'],
      ['toString', 'https://b.example'],
    ],
  );
  const wrong = complaintsOf(signInFile({ '"my idp"': 'issuer: https://a.example', __proto__: '' }));
  t.match(wrong[0], /^auth\.providers has the name "my idp", which cannot be used\. Write a name of letters/);
  t.match(complaintsOf(signInFile({ google: '' }, { auth: 'admins: [constructor:a@b.example]' })), [
    'auth.admins[0] names the provider constructor, which is not in auth.providers. Known here: google.',
  ]);
});

t.test('the URLs that browsers see become places, their paths without a slash at the end', async (t) => {
  const { publicPlace, portalPlace } = read(
    'server: { publicUrl: "HTTPS://API.Example.com:443/gw/", portalUrl: "http://localhost:8080" }\n',
  ).config.server;
  t.same(publicPlace, {
    origin: 'https://api.example.com',
    host: 'api.example.com',
    path: '/gw',
    isSecure: true,
  });
  t.same(portalPlace, { origin: 'http://localhost:8080', host: 'localhost:8080', path: '', isSecure: false });
  const { server } = read('server: { publicUrl: "https://api.example.com/" }\n').config;
  t.equal(server.publicPlace?.path, '');
  t.same(server.portalPlace, server.publicPlace, 'and the portal is at publicUrl unless it has its own');
});

t.test('URLs that browsers cannot see are refused', async (t) => {
  const told = (server: string) => complaintsOf(`server: { ${server} }\n`);
  const publicUrl = 'publicUrl: https://api.example.com';
  t.same(told('portalUrl: https://account.example.com'), [
    'server.portalUrl stands without publicUrl. Write publicUrl, where the upstreams are served.',
  ]);
  t.same(told(`${publicUrl}, portalUrl: https://api.example.com/account`), [
    'server.portalUrl has the host of publicUrl, where upstreams are served. Write a host of another name, or remove it.',
  ]);
  t.same(told(`${publicUrl}, portalUrl: https://api.example.com`), []);
  t.same(told('publicUrl: "https://["'), ['server.publicUrl is not a URL. Write an https URL.']);
  t.match(told(`${publicUrl}//gw`), [/^server\.publicUrl has an empty segment/]);
  for (const wrong of ['ftp://h', 'https://u:p@h', 'https://h?x', 'https://h#x', 'api.example.com']) {
    t.match(told(`publicUrl: "${wrong}"`), [/^server\.publicUrl .*Write an https URL without user, query or/], wrong);
  }
});

t.test('what is missing beside providers is told all at once', async (t) => {
  t.same(complaintsOf(`auth:\n  providers:\n    google: { ${credentials} }\n`), [
    'server.publicUrl is missing. Write the URL that browsers and providers see.',
    'auth.allow is missing. Write who may sign in: emailDomains or emails; emailDomains: ["*"] lets anyone in.',
    'auth.session.secret is missing. Write 32 random characters or more, from a variable.',
  ]);
  t.match(complaintsOf(signInFile({ google: '' }).replace(credentials, '')), [
    /^auth\.providers\.google\.clientId is missing/,
    /^auth\.providers\.google\.clientSecret is missing/,
  ]);
});

t.test('an allow that lets nobody in is refused', async (t) => {
  for (const allow of ['{}', '{ emailDomains: [] }', '{ emails: [] }']) {
    t.same(
      complaintsOf(signInFile({ google: '' }, { allow })),
      ['auth.allow lets nobody in. Write emailDomains or emails; emailDomains: ["*"] lets anyone in.'],
      allow,
    );
  }
  for (const allow of ['{ emailDomains: [example] }', '{ emailDomains: ["*.example.com"] }', '{ emails: [ada] }']) {
    t.match(complaintsOf(signInFile({ google: '' }, { allow })), [/^auth\.allow\.email.*Write (a domain|an address)/]);
  }
});

t.test('an admin of a provider that is not there is refused', async (t) => {
  const told = (admins: string) => complaintsOf(signInFile({ google: '' }, { auth: `admins: [${admins}]` }));
  t.same(told('gogle:ops@example.com'), [
    'auth.admins[0] names the provider gogle, which is not in auth.providers. Perhaps google is meant.',
  ]);
  t.match(told('ops@example.com'), [/Write a provider and an address, such as google:ops@example\.com\.$/]);
  t.same(told(`"\${ADMIN}"`), ['auth.admins[0] names a provider that is not in auth.providers. Known here: google.']);
  t.same(complaintsOf('auth: { admins: [google:ops@example.com] }\n'), [
    'auth.admins[0] names the provider google, which is not in auth.providers. Name it in auth.providers.',
  ]);
});

t.test('admins on an origin that they share with upstreams are warned of', async (t) => {
  const told = (admins: string, portal = '') =>
    complaintsOf(signInFile({ google: '' }, { auth: `admins: [${admins}]`, server: behindProxy + portal }));
  const own = ', portalUrl: https://account.example.com';
  const shared = /^auth\.admins share an origin with the upstreams, .* server\.portalUrl\.$/;
  t.match(told('google:ops@example.com'), [shared]);
  t.match(told('google:ops@example.com', ', portalUrl: https://api.example.com'), [shared]);
  t.same(told('google:ops@example.com', own), []);
  t.same(told(''), []);
});

t.test('keys that a provider would ignore are refused', async (t) => {
  const told = (name: string, keys: string) =>
    complaintsOf(signInFile({ [name]: keys })).map((said) => said.replace(`auth.providers.${name}.`, ''));
  const tenant = 'tenant is of use with microsoft alone. Remove it.';
  for (const [name, keys] of [
    ['google', ''],
    ['github', ''],
    ['work', 'issuer: https://a.example'],
    ['git', `${plainUrls}, trustEmail: true`],
  ] as const) {
    t.same(told(name, ['tenant: common', keys].filter(Boolean).join(', ')), [tenant], name);
  }
  t.same(told('google', 'issuer: https://a.example'), ['issuer is of no use with google. Remove it.']);
  t.same(told('microsoft', 'tenant: common, issuer: https://a.example'), [
    'issuer is of no use with microsoft. Remove it.',
  ]);
  for (const key of ['issuer: https://a.example', 'map: { name: login }', 'trustEmail: true']) {
    t.match(told('github', key), [/ is of no use with github\. Remove it\.$/], key);
  }
  t.match(told('google', plainUrls), [/^authorizationUrl is of no/, /^tokenUrl is of no/, /^userinfoUrl is of no/]);
  t.same(told('work', 'issuer: https://a.example, map: { name: login }'), [
    'map stands beside issuer, which has no use for it. Remove one of the two.',
  ]);
});

t.test('a provider that cannot be reached as it is written is refused', async (t) => {
  t.same(complaintsOf(signInFile({ git: '' })), [
    'auth.providers.git says nowhere to sign in. Write issuer, or authorizationUrl, tokenUrl, userinfoUrl.',
  ]);
  t.same(complaintsOf(signInFile({ git: 'tokenUrl: https://git.example.com' })), [
    'auth.providers.git.authorizationUrl is missing. Write it beside tokenUrl.',
    'auth.providers.git.userinfoUrl is missing. Write it beside tokenUrl.',
  ]);
  t.same(complaintsOf(signInFile({ github: 'userinfoUrl: https://git.example.com/api/v3/user' })), [
    'auth.providers.github.authorizationUrl is missing. Write it beside userinfoUrl.',
    'auth.providers.github.tokenUrl is missing. Write it beside userinfoUrl.',
  ]);
  t.same(complaintsOf(signInFile({ microsoft: '' })), [
    'auth.providers.microsoft.tenant is missing. Write the tenant whose people sign in, or common.',
  ]);
  t.match(complaintsOf(signInFile({ work: 'issuer: "https://a.example?x"' })), [/^auth\.providers\.work\.issuer /]);
});

t.test('an OpenID provider is asked for openid', async (t) => {
  const said = 'lacks openid, without which nobody says who has signed in. Add openid.';
  for (const scope of ['email', '[email, openid-x]']) {
    t.same(complaintsOf(signInFile({ google: `scope: ${scope}` })), [`auth.providers.google.scope ${said}`], scope);
  }
  t.same(complaintsOf(signInFile({ github: 'scope: "user:email"' })), []);
});

t.test('a session lasts no longer than browsers keep a cookie', async (t) => {
  for (const key of ['maxAge', 'idleTimeout']) {
    t.same(complaintsOf(signInFile({ google: '' }, { session: `, ${key}: 400d` })), []);
    t.same(complaintsOf(signInFile({ google: '' }, { session: `, ${key}: 401d` })), [
      `auth.session.${key} is longer than 400 days, as long as browsers keep a cookie. Write a shorter time.`,
    ]);
  }
});

t.test('a route takes sessions only where somebody can sign in', async (t) => {
  const withSession = (rest: string) =>
    complaintsOf(rest).length > 0 ? ['broken'] : complaintsOf(`    auth: [session]\n${rest}`);
  t.same(withSession(signInFile({ google: '' })), []);
  for (const rest of ['', 'auth:\n  providers:\n']) {
    t.match(withSession(rest), [/^routes\[0\]\.auth lets in sessions of nobody\. Name whom people sign in with in/]);
  }
});

t.test('the client of a provider is no audience of access tokens', async (t) => {
  const told = (audience: string) =>
    complaintsOf(
      signInFile({ google: '' }, { auth: `bearer: [{ issuer: "https://a.example", audience: ${audience} }]` }),
    );
  for (const audience of ['c', '[api, c]']) {
    t.same(told(audience), [
      'auth.bearer[0].audience is the client of auth.providers.google: ID tokens have it, and they are no access ' +
        'tokens. Write what the access tokens for your API name in aud.',
    ]);
  }
  t.same(told('api'), []);
});

t.test('secrets in clear text, and short ones, are warned about', async (t) => {
  const text = signInFile({ google: '' })
    .replace(`"\${SESSION_SECRET}"`, 'hunter2')
    .replace(`"\${CLIENT_SECRET}"`, 'hunter2');
  t.same(complaintsOf(text), [
    'auth.session.secret stands in clear text. Put the value in a variable or a file.',
    'auth.session.secret is shorter than 32 characters. Write a longer one, at random.',
    'auth.providers.google.clientSecret stands in clear text. Put the value in a variable or a file.',
  ]);
  t.notMatch(complaintsOf(text).join(), 'hunter2');
  const listed = text.replace('secret: hunter2', `secret: ["\${SESSION_SECRET}", hunter2]`);
  t.match(complaintsOf(listed), [/^auth\.session\.secret\[1\] stands/, /^auth\.session\.secret\[1\] is shorter/, /./]);
});

t.test('what travels where it can be read is warned about, except on loopback', async (t) => {
  const server = (url: string) => complaintsOf(`server: { publicUrl: "${url}" }\n`);
  for (const host of ['api.example.com', '127.0.0.1.example.com', '10.0.0.1']) {
    t.same(server(`http://${host}`), [
      'server.publicUrl is not https: sessions can be read on the way. Put TLS in front, and write the https URL.',
    ]);
  }
  for (const host of ['localhost:8080', '127.0.0.1', '[::1]:80']) t.same(server(`http://${host}`), []);
  t.match(complaintsOf(signInFile({ work: 'issuer: http://a.example' })), [
    /^auth\.providers\.work\.issuer is not https: whoever can change/,
  ]);
});

t.test('TLS in front without a proxy that is trusted is warned about', async (t) => {
  for (const publicUrl of ['https://api.example.com', 'HTTPS://api.example.com']) {
    t.same(complaintsOf(signInFile({ google: '' }, { server: `publicUrl: "${publicUrl}"` })), [
      'server.publicUrl is https, and no proxy is trusted: everybody has the address of the proxy, and shares its ' +
        'limits. Write the address of the proxy in front in server.trustedProxies.',
    ]);
  }
  t.same(complaintsOf(signInFile({ google: '' })), []);
});

t.test('a plain provider that vouches for no address is warned about where addresses decide', async (t) => {
  t.same(complaintsOf(signInFile({ git: plainUrls })), [
    'auth.providers.git may vouch for no address, and then nobody can sign in with it. Write map.emailVerified, or ' +
      'trustEmail if its addresses are verified.',
  ]);
  t.same(complaintsOf(signInFile({ git: plainUrls }, { allow: '{ emailDomains: ["*"] }' })), []);
  for (const keys of ['map: { emailVerified: verified }', 'trustEmail: true']) {
    t.same(complaintsOf(signInFile({ git: `${plainUrls}, ${keys}` })), [], keys);
  }
});

t.test('every file and provider of docs/sign-in.md passes without a warning', async (t) => {
  const [smallest, ...parts] = fencesOf(readFileSync('docs/sign-in.md', 'utf8')).map(({ code }) => parse(code));
  t.equal(parts.length, 7);
  const files = parts.map(({ server, ...providers }) =>
    server === undefined
      ? { ...smallest, auth: { ...smallest.auth, providers } }
      : { ...smallest, server: { ...smallest.server, ...server } },
  );
  const variables = ['GOOGLE', 'GITHUB', 'MICROSOFT', 'WORK', 'FORGE', 'SESSION'].map((name) => `${name}_SECRET`);
  const secrets = Object.fromEntries(variables.map((name) => [name, secret]));
  for (const file of [smallest, ...files]) {
    const text = stringify(file);
    t.same(parseConfig(text, { file: 'gateway.yaml', env: secrets }).warnings, [], text);
  }
});
