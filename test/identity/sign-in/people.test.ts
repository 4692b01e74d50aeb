import t from 'tap';
import { blockUser } from '../../../src/store/users.ts';
import { CookieJar } from '../../helpers/cookie-jar.ts';
import { dialects } from '../../helpers/databases.ts';
import { noteCredential } from '../../helpers/evidence.ts';
import { audience, startIdentityProvider } from '../../helpers/identity-provider.ts';
import { OddProvider, signedWith } from '../../helpers/odd-provider.ts';
import {
  providerYaml,
  type SignInGateway,
  sessionOf,
  signIn,
  startSignInGateway,
} from '../../helpers/sign-in-gateways.ts';
import { until } from '../../helpers/until.ts';
import { amountsOf, userWith } from '../../helpers/users.ts';
import { oddYaml, refusalOf, startOddGateway } from './attempts.ts';

interface User {
  readonly id: string;
  readonly email: string | null;
  readonly name: string;
  readonly picture: string | null;
}

for (const dialect of dialects) {
  t.test(`${dialect}: name, picture and address follow what the provider says`, async (t) => {
    const { gate, odd } = await startOddGateway(t, { dialect });
    const before = await userAfterSignIn(gate, 'odd');
    odd.userinfo = { name: 'Ann Married', picture: 'https://b.example/p', email: 'ann@married.example' };
    const after = await userAfterSignIn(gate, 'odd');
    t.match(after, { name: 'Ann Married', picture: 'https://b.example/p', email: 'ann@married.example' });
    t.equal(after.id, before.id);
    odd.userinfo = { name: undefined, email: undefined };
    t.same(await userAfterSignIn(gate, 'odd'), after, 'what it does not say stays');
    odd.userinfo = { email: 'new@b.example', email_verified: false };
    t.equal((await userAfterSignIn(gate, 'odd')).email, 'ann@married.example', 'what it does not vouch for is nothing');
  });

  t.test(`${dialect}: an address that somebody else has stays theirs`, async (t) => {
    const { gate, odd } = await startOddGateway(t, { dialect });
    const other = await userWith(gate.test.database.db, 1, 'Taken@b.example');
    const before = await userAfterSignIn(gate, 'odd');
    odd.userinfo = { email: 'taken@B.example', name: 'Ann Again' };
    t.same(await userAfterSignIn(gate, 'odd'), { ...before, name: 'Ann Again' });
    const { email } = await gate.test.database.db
      .selectFrom('users')
      .select('email')
      .where('id', '=', other.id)
      .executeTakeFirstOrThrow();
    t.equal(email, 'Taken@b.example');
  });

  t.test(`${dialect}: one person in two browsers at once is one user, with the starting credits once`, async (t) => {
    const provider = await startIdentityProvider(t);
    const gate = await startSignInGateway(t, dialect, { providers: providerYaml('idp', provider) });
    provider.allowRedirect(gate.redirectUri('idp'));
    const jars = Array.from({ length: 4 }, () => new CookieJar());
    const users = await Promise.all(jars.map((jar) => userAfterSignIn(gate, 'idp', jar)));
    t.equal(new Set(users.map(({ id }) => id)).size, 1);
    t.same(await amountsOf(gate.test.database.db, users[0]?.id ?? ''), [5000]);
    t.equal((await gate.test.database.db.selectFrom('users').select('id').execute()).length, 1);
  });

  t.test(`${dialect}: a subject is one user, by its tokens and by signing in`, async (t) => {
    const odd = await OddProvider.start(t);
    const gate = await startSignInGateway(t, dialect, {
      providers: oddYaml('odd', odd),
      auth: `bearer: [{ issuer: "${odd.issuer}", audience: ["${audience}"] }]`,
    });
    const user = await userAfterSignIn(gate, 'odd');
    const claims = { iss: odd.issuer, aud: audience, sub: 'ann', exp: Math.floor(Date.now() / 1000) + 600 };
    const token = noteCredential(String(await signedWith(odd.key)(claims)));
    t.equal((await gate.call(token)).status, 200);
    t.equal(gate.upstream.seen.at(-1)?.headers['x-tollgate-user'], user.id);
    const second = noteCredential(String(await signedWith(odd.key)({ ...claims, sub: 'eve' })));
    t.equal((await gate.call(second)).status, 200);
    odd.claims = { sub: 'eve' };
    odd.userinfo = { sub: 'eve', email: 'eve@b.example' };
    const eve = await userAfterSignIn(gate, 'odd');
    t.equal(gate.upstream.seen.at(-1)?.headers['x-tollgate-user'], eve.id, 'whatever came first');
    t.equal(eve.email, 'eve@b.example');
  });

  t.test(`${dialect}: somebody who is blocked cannot sign in, and their session is good for nothing`, async (t) => {
    const { gate } = await startOddGateway(t, { dialect });
    const jar = new CookieJar();
    const { id } = await userAfterSignIn(gate, 'odd', jar);
    await blockUser(gate.test.database.db, id);
    const again = new CookieJar();
    const [status, code] = await refusalOf(await signIn(again, gate.url, 'odd'));
    t.same([status, code], [403, 'TG_USER_BLOCKED']);
    t.same(again.cookiesFor(gate.url), {}, 'there is no session');
    await until(
      async () => (await jar.fetch(`${gate.url}/things`)).status,
      (answer) => answer === 403,
    );
  });
}

t.test('who may sign in is decided by the address, whole or by its domain, in whatever case', async (t) => {
  const allow = '{ emails: [Bob@c.example], emailDomains: [B.example] }';
  const { gate, odd } = await startOddGateway(t, {
    allow,
    auth: 'admins: ["odd:Ops@d.example"]',
  });
  const statusFor = async (email: string | undefined) => {
    odd.userinfo = { email, sub: email ?? 'nobody' };
    odd.claims = { sub: email ?? 'nobody' };
    return (await signIn(new CookieJar(), gate.url, 'odd')).response.status;
  };
  for (const email of ['bob@c.example', 'BOB@C.EXAMPLE', 'ann@b.example', 'ann@B.Example', 'ops@D.example']) {
    t.equal(await statusFor(email), 200, email);
  }
  const strangers = [
    'ann@c.example',
    'ann@sub.b.example',
    'ann@evilb.example',
    'ann@b.example.evil',
    'bob@c.example@e',
  ];
  for (const email of [...strangers, 'ann@b.example ', '@b.example', 'b.example', undefined]) {
    t.equal(await statusFor(email), 403, String(email));
  }
  const users = await gate.test.database.db.selectFrom('users').select('email').execute();
  t.equal(users.length, 5, 'and those who may not are not made users');
});

t.test('an operator is one at the provider that is named, and at no other', async (t) => {
  const allow = '{ emails: [somebody@b.example] }';
  const provider = await startIdentityProvider(t);
  const idp = providerYaml('idp', provider);
  const gate = await startSignInGateway(t, 'sqlite', {
    providers: `${idp}, ${idp.replace('idp', 'other')}`,
    allow,
    auth: 'admins: ["idp:ann@example.com"]',
  });
  for (const name of ['idp', 'other']) provider.allowRedirect(gate.redirectUri(name));
  t.equal((await signIn(new CookieJar(), gate.url, 'idp')).response.status, 200);
  t.equal((await signIn(new CookieJar(), gate.url, 'other')).response.status, 403);
});

async function userAfterSignIn(gate: SignInGateway, provider: string, jar = new CookieJar()): Promise<User> {
  await signIn(jar, gate.url, provider);
  const session = await sessionOf(jar, gate.url);
  if (typeof session === 'number') throw new Error(`not signed in: ${session}`);
  return session['user'] as User;
}
