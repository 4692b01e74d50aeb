import type { ServerResponse } from 'node:http';
import t from 'tap';
import { dialects } from '../helpers/databases.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { audience, startIdentityProvider } from '../helpers/identity-provider.ts';
import { until } from '../helpers/until.ts';

const costs7 = '  - { path: /, upstream: api, cost: 7 }';

for (const dialect of dialects) {
  t.test(`${dialect}: a caller sees balance, holds and what is left, at every moment of a call`, async (t) => {
    const waiting: ServerResponse[] = [];
    const gate = await startTestGateway(t, dialect, costs7, (_request, response) => void waiting.push(response));
    const key = await gate.newKey('u', 20);
    t.same(await credits(gate, key), { credits: 20, held: 0, available: 20, sufficient: true });
    t.same(await credits(gate, key, '?cost=21'), { credits: 20, held: 0, available: 20, sufficient: false });
    const call = gate.call(key);
    await until(
      () => waiting.length,
      (count) => count === 1,
    );
    t.same(await credits(gate, key, '?cost=14'), { credits: 20, held: 7, available: 13, sufficient: false });
    waiting[0]?.end('done');
    await (await call).text();
    t.same(await credits(gate, key, '?cost=13'), { credits: 13, held: 0, available: 13, sufficient: true });
    t.equal((await credits(gate, key)).credits, 13, 'and it stays so once the charge is booked');
  });

  t.test(`${dialect}: who has less than nothing has nothing left`, async (t) => {
    const gate = await startTestGateway(t, dialect, costs7);
    const key = await gate.newKey('u', 20);
    await gate.test.database.db.updateTable('users').set({ credits: -3 }).execute();
    t.same(await credits(gate, key, '?cost=0'), { credits: -3, held: 0, available: 0, sufficient: true });
  });
}

t.test('asking costs nothing, needs a credential, and reaches no upstream', async (t) => {
  const provider = await startIdentityProvider(t);
  const auth = `bearer: [{ issuer: "${provider.issuer}", audience: "${audience}" }]`;
  const gate = await startTestGateway(t, 'sqlite', costs7, undefined, { auth });
  const path = '/_tollgate/api/credits';
  t.match(await credits(gate, await provider.accessToken()), { credits: 5000 }, 'a token will do');
  const key = await gate.newKey('u', 20);
  const codeOf = async (credential: string | null, query = '') => {
    const { status, headers } = await gate.call(credential, path + query);
    return [status, headers.get('x-tollgate-error'), headers.get('cache-control')];
  };
  t.same(await codeOf(key), [200, null, 'no-store']);
  t.same(await codeOf(null), [401, 'TG_AUTH_MISSING', 'no-store']);
  t.same(await codeOf('nonsense'), [401, 'TG_AUTH_INVALID', 'no-store']);
  t.same(await codeOf(null, `?key=${key}`), [401, 'TG_AUTH_IN_QUERY', 'no-store']);
  for (const query of ['?cost=-1', '?cost=1.5', '?cost=x', '?cost=', '?cost=1&cost=2', '?cost=9007199254740992']) {
    t.same(await codeOf(key, query), [400, 'TG_INPUT_INVALID', 'no-store'], query);
  }
  const headers = { accept: 'application/problem+json' };
  const answer = await gate.call(key, `${path}?cost=x`, { headers });
  t.match(await answer.json(), { code: 'TG_INPUT_INVALID', input: /cost must be integer/ });
  t.equal((await gate.call(key, path, { method: 'POST' })).status, 404);
  t.equal(gate.upstream.seen.length, 0);
  t.match(await credits(gate, key), { credits: 20 });
});

interface Credits {
  readonly credits: number;
}

async function credits(gate: TestGateway, key: string, query = ''): Promise<Credits> {
  return (await (await gate.call(key, `/_tollgate/api/credits${query}`)).json()) as Credits;
}
