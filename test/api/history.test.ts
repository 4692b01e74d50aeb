import t from 'tap';
import { grantCredits } from '../../src/store/credits.ts';
import { dialects } from '../helpers/databases.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { until } from '../helpers/until.ts';

const routes = '  - { path: /, upstream: api }\n  - { path: /dear, name: dear, upstream: api, cost: 7 }';

interface Entry {
  readonly id: string;
  readonly kind: string;
  readonly amount: number;
  readonly keyId: string | null;
}

interface Page {
  readonly entries: readonly Entry[];
  readonly next: string | null;
}

for (const dialect of dialects) {
  t.test(`${dialect}: a caller reads what happened to the own credits, page by page`, async (t) => {
    const { gate, key, ledger } = await open(t, dialect);
    const { db } = gate.test.database;
    const refund = { kind: 'refund', actor: 'cli:ops', note: 'sorry' } as const;
    await db.transaction().execute((trx) => grantCredits(trx, 'u', 30, refund));
    for (const path of ['/a', '/dear', '/status/404']) await (await gate.call(key, path)).text();
    await untilBooked(gate, 2);
    const whole = await ledger('');
    t.same(
      whole.entries.map(({ kind, amount }) => [kind, amount]),
      [
        ['charge', -7],
        ['charge', -1],
        ['refund', 30],
        ['signup', 100],
      ],
    );
    t.match(whole.entries[0], {
      route: 'dear',
      status: 200,
      ended: 'delivered',
      keyId: /^key_/,
      createdAt: /^\d{4}-.*Z$/,
    });
    t.match(whole.entries[2], { note: 'sorry', ended: null });
    t.notMatch(JSON.stringify(whole), 'ops', 'who moved them stays with the operator');
    t.equal(whole.next, null);

    t.same((await ledger('?route=dear')).entries, [whole.entries[0]]);
    t.same((await ledger(`?key=${whole.entries[0]?.keyId}`)).entries, whole.entries.slice(0, 2));
    t.same((await ledger('?key=key_x')).entries, []);

    const place = '/_tollgate/api/ledger/';
    const receipt = await gate.call(key, place + whole.entries[0]?.id);
    t.same(await receipt.json(), whole.entries[0], 'a receipt says what the page says');
    const strange = await gate.newKey('v', 100);
    for (const [credential, id] of [
      [strange, whole.entries[0]?.id],
      [key, '01a20f42-04f4-723f-8f81-1081fb509750'],
      [key, '%00'],
    ] as const) {
      const { status, headers } = await gate.call(credential, place + id);
      t.same([status, headers.get('x-tollgate-error')], [404, 'TG_ENTRY_NOT_FOUND']);
    }

    const first = await ledger('?limit=3');
    const second = await ledger(`?limit=3&cursor=${first.next}`);
    t.same([...first.entries, ...second.entries], whole.entries);
    t.equal(second.next, null);
    t.same((await ledger('?kind=refund')).entries, [whole.entries[2]]);
    t.same((await ledger('?to=2020-01-01')).entries, []);
    t.same((await ledger('?from=2020-01-01T00:00:00%2B02:00')).entries, whole.entries);
  });

  t.test(`${dialect}: a caller reads the own totals, by day or hour and by route`, async (t) => {
    const { gate, key, usage } = await open(t, dialect);
    const other = await gate.newKey('other', 100);
    for (const credential of [key, key, other]) await (await gate.call(credential, '/a')).text();
    for (const path of ['/dear', '/status/404']) await (await gate.call(key, path)).text();
    const total = { calls: 3, charged: 9, failed: 1, refused: 0 };
    await untilBooked(gate, 4);
    const { rows } = await until(
      () => usage(''),
      ({ rows: [row] }) => row?.failed === 1,
    );
    t.match(rows, [{ ...total, route: null, start: /T00:00:00\.000Z$/ }]);
    t.match((await usage('?bucket=hour')).rows, [{ ...total, start: /T\d\d:00:00\.000Z$/ }]);
    t.match((await usage('?by=route&bucket=hour')).rows, [
      { route: '/', calls: 2, charged: 2, failed: 1 },
      { route: 'dear', calls: 1, charged: 7, failed: 0 },
    ]);
    t.same((await usage('?to=2020-01-01')).rows, []);
    t.match(await usage('?from=2020-01-01&to=2020-01-02'), {
      from: '2020-01-01T00:00:00.000Z',
      rows: [],
      hasMore: false,
    });
  });
}

t.test('what cannot be asked for is told', async (t) => {
  const { gate, key } = await open(t, 'sqlite');
  const asked = [
    'ledger?limit=0',
    'ledger?limit=201',
    'ledger?cursor=x',
    'ledger?kind=gift',
    'ledger?from=yesterday',
    'ledger?from=2026-02-30',
    'ledger?from=2026-01-31T12:00:00',
    'ledger?from=2016-12-31T23:59:60Z',
    'usage?to=0000-01-01',
    'usage?bucket=month',
    'usage?by=user',
  ];
  for (const query of asked) {
    const { status, headers } = await gate.call(key, `/_tollgate/api/${query}`);
    t.same([status, headers.get('x-tollgate-error')], [400, 'TG_INPUT_INVALID'], query);
  }
  for (const path of ['ledger', 'usage']) t.equal((await gate.call(null, `/_tollgate/api/${path}`)).status, 401);
});

async function open(t: Parameters<typeof startTestGateway>[0], dialect: (typeof dialects)[number]) {
  const gate = await startTestGateway(t, dialect, routes);
  const key = await gate.newKey('u', 100);
  const ask = async <T>(path: string) => (await (await gate.call(key, `/_tollgate/api/${path}`)).json()) as T;
  return {
    gate,
    key,
    ledger: (query: string) => ask<Page>(`ledger${query}`),
    usage: (query: string) => ask<{ rows: { failed: number }[] }>(`usage${query}`),
  };
}

async function untilBooked({ test }: TestGateway, charges: number): Promise<void> {
  await until(
    () => test.database.db.selectFrom('ledger').selectAll().where('kind', '=', 'charge').execute(),
    (rows) => rows.length === charges,
  );
}
