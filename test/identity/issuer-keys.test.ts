import { decodeProtectedHeader, jwtVerify } from 'jose';
import t, { type Test } from 'tap';
import { IssuerKeys, keysAgeMaxMs } from '../../src/identity/issuer-keys.ts';
import { ProviderClient } from '../../src/identity/provider-client.ts';
import { newKey, type SigningKey, TokenIssuer } from '../helpers/token-issuer.ts';
import { until } from '../helpers/until.ts';

const dayMs = 24 * 60 * 60_000;

t.test('the keys are found by discovery when they are first needed, and asked for once', async (t) => {
  const { issuer, key, keys, isGood } = await open(t);
  t.same(issuer.asked, [], 'nothing is asked before');
  t.equal(keys.isFresh, false);
  t.same(await Promise.all([isGood(key), isGood(key), isGood(key)]), [true, true, true]);
  t.same(issuer.asked, ['/realm/.well-known/openid-configuration', '/realm/keys']);
  t.equal(keys.isFresh, true);
});

t.test('a provider without OpenID is found by the metadata of OAuth', async (t) => {
  const { issuer, key, isGood } = await open(t);
  issuer.documents.set('/realm/.well-known/openid-configuration', null);
  issuer.documents.set('/.well-known/oauth-authorization-server/realm', {
    issuer: issuer.url,
    jwks_uri: `${issuer.url}/keys`,
  });
  t.equal(await isGood(key), true);
});

t.test('a key that is withdrawn is out once the keys are as old as they may be', async (t) => {
  const { issuer, key, isGood, pass, changes } = await open(t);
  t.equal(await isGood(key), true);
  const next = await newKey('next');
  issuer.shown = [next.publicJwk];
  t.equal(await isGood(key), true, 'until then it is good');
  pass(keysAgeMaxMs);
  t.equal(await isGood(key), false);
  t.equal(await isGood(next), true);
  t.equal(changes(), 1, 'what was verified with the old keys is told of');
});

t.test('keys in use are read again ahead of time, without a caller that waits', async (t) => {
  const { issuer, keys, key, isGood, pass } = await open(t);
  await isGood(key);
  pass(keysAgeMaxMs - 30_000);
  t.equal(keys.isFresh, false);
  await keys.refresh();
  await until(
    () => issuer.readings,
    (readings) => readings === 2,
  );
});

t.test(
  'a key that is new is looked for at once, and names that are made up not more often than every ten seconds',
  async (t) => {
    const { issuer, key, isGood, pass } = await open(t);
    await isGood(key);
    const next = await newKey('next');
    issuer.shown = [key.publicJwk, next.publicJwk];
    t.equal(await isGood(next), true);
    t.equal(issuer.readings, 2);
    const forged = await Promise.all(Array.from({ length: 50 }, (_, i) => newKey(`made-up-${i}`)));
    for (const forger of forged) await t.rejects(isGood(forger), { code: 'TG_AUTH_UNAVAILABLE' }, 'no verdict');
    t.equal(issuer.readings, 2);
    pass(10_000);
    t.ok((await Promise.all(forged.map(isGood))).every((is) => !is));
    t.equal(issuer.readings, 3, 'who comes while it is asked gets its answer');
  },
);

t.test('many tokens of a key that is new are good at once, whoever is first', async (t) => {
  const { issuer, key, isGood } = await open(t);
  await isGood(key);
  const next = await newKey('next');
  issuer.shown = [key.publicJwk, next.publicJwk];
  t.ok((await Promise.all(Array.from({ length: 20 }, () => isGood(next)))).every((is) => is));
  t.equal(issuer.readings, 2);
});

t.test('a name that is unknown while the provider is down is no verdict', async (t) => {
  const { issuer, key, isGood } = await open(t);
  await isGood(key);
  issuer.isDown = true;
  await t.rejects(isGood(await newKey('next')), { code: 'TG_AUTH_UNAVAILABLE' });
  t.equal(await isGood(key), true);
});

t.test('keys that moved are found, though the old place goes on showing what is withdrawn', async (t) => {
  const { issuer, key, isGood, pass } = await open(t);
  await isGood(key);
  const next = await newKey('next');
  issuer.documents.set('/realm/.well-known/openid-configuration', {
    issuer: issuer.url,
    jwks_uri: `${issuer.url}/moved`,
  });
  issuer.documents.set('/realm/moved', { keys: [next.publicJwk] });
  pass(keysAgeMaxMs);
  t.equal(await isGood(key), false);
  t.equal(await isGood(next), true);
});

t.test('a provider that is down changes nothing for a day, and is asked again every ten seconds', async (t) => {
  const { issuer, key, isGood, pass, failures } = await open(t);
  await isGood(key);
  issuer.isDown = true;
  pass(keysAgeMaxMs);
  t.equal(await isGood(key), true);
  t.equal(failures(), 1);
  t.equal(await isGood(key), true);
  t.equal(failures(), 1, 'not with every call');
  pass(10_000);
  t.equal(await isGood(key), true);
  await until(failures, (count) => count === 2);
  pass(dayMs);
  await t.rejects(isGood(key), { code: 'TG_AUTH_UNAVAILABLE' });
  issuer.isDown = false;
  pass(10_000);
  t.equal(await isGood(key), true, 'and is good again when it is back');
});

t.test('without keys there is no verdict, whatever stands in the way', async (t) => {
  const discovery = '/realm/.well-known/openid-configuration';
  const documents: [path: string, document: unknown][] = [
    [discovery, { issuer: 'https://other.example', jwks_uri: 'https://other.example/keys' }],
    [discovery, { issuer: 'set below' }],
    [discovery, []],
    [discovery, 'x'.repeat(2 ** 21)],
    ['/realm/keys', { keys: 'none' }],
    ['/realm/keys', { keys: Array.from({ length: 101 }, () => ({ kty: 'EC' })) }],
    ['/realm/keys', 7],
  ];
  for (const [path, document] of documents) {
    const { issuer, key, isGood } = await open(t);
    issuer.documents.set(path, document);
    await t.rejects(isGood(key), { code: 'TG_AUTH_UNAVAILABLE' }, JSON.stringify(document).slice(0, 80));
  }
});

async function open(t: Test) {
  const { issuer, key } = await TokenIssuer.start(t);
  const client = new ProviderClient();
  t.teardown(() => client.close());
  let now = 0;
  let changes = 0;
  let failures = 0;
  const keys = new IssuerKeys({
    issuer: issuer.url,
    client,
    onChanged: () => {
      changes += 1;
    },
    onFailed: () => {
      failures += 1;
    },
    now: () => now,
  });
  /** Whether a token of the key is found to be signed with a key of the issuer. */
  const isGood = async (signer: SigningKey) => {
    const token = await issuer.sign(signer);
    const verified = jwtVerify(token, keys.find).then(
      () => true,
      (error) => {
        if (error.code === 'ERR_JWKS_NO_MATCHING_KEY') return false;
        throw error;
      },
    );
    t.equal(decodeProtectedHeader(token).kid, signer.kid);
    return verified;
  };
  const pass = (ms: number) => {
    now += ms;
  };
  return { issuer, key, keys, isGood, pass, changes: () => changes, failures: () => failures };
}
