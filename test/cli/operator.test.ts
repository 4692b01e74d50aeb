import { readFile, symlink, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { isWellFormedKey } from '../../src/identity/api-keys.ts';
import { openCommandLine } from '../helpers/command-line.ts';
import { dialects, everyMigration } from '../helpers/databases.ts';
import { addUsage } from '../helpers/meters.ts';

const actor = `cli:${userInfo().username}`;
const plans = 'plans:\n  Gold:\n    startingCredits: 70';

interface Entries {
  entries: { kind: string; amount: number; actor: string; note: string | null }[];
  next: string | null;
}

for (const dialect of dialects) {
  t.test(`${dialect}: tables come and go, and a command without them says what to do`, async (t) => {
    const { run, json } = await openCommandLine(t, dialect);
    const early = await run('users list');
    t.match(early, { code: 1, stdout: '', stderr: /^error: .*Run "tollgate migrate up" first\.\n$/ });
    t.same(await json('migrate up'), {
      applied: everyMigration,
    });
    t.same(await json('migrate up'), { applied: [] });
    t.match(await json('migrate status'), { migrations: [{ name: '0001_the_books', appliedAt: /^\d{4}-/ }] });
    await json('users create ann@b.example');
    t.match(await json('migrate down'), { reverted: ['0009_endings'], dropped: [] });
    t.match(await json('migrate down --yes'), { reverted: ['0008_rollups'], dropped: ['usage_totals', 'usage_daily'] });
    t.match(await json('migrate down'), { reverted: ['0007_claims'], dropped: [] });
    t.match(await json('migrate down'), { reverted: ['0006_asked_leases'], dropped: [] });
    t.match(await json('migrate down'), { reverted: ['0005_audit'], dropped: [] });
    t.match(await json('migrate down'), { reverted: ['0004_by_hand'], dropped: [] });
    t.match(await json('migrate down --yes'), { reverted: ['0003_sessions'], dropped: ['sessions'] });
    t.match(await json('migrate down --yes'), { reverted: ['0002_identities'], dropped: ['identities'] });
    t.match(await run('migrate down'), { code: 2, stderr: /drops .*ledger, users with every row\. Give --yes/ });
    t.match(await json('migrate down --yes'), { reverted: ['0001_the_books'], dropped: /users/ });
    t.same(await json('migrate up'), {
      applied: everyMigration,
    });
    t.same(await json('users list'), { users: [], next: null });
  });

  t.test(
    `${dialect}: the first user may come before the tables, unless migrating is left to the operator`,
    async (t) => {
      const { run, json, folder } = await openCommandLine(t, dialect);
      const file = join(folder, 'gateway.yaml');
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.replace('database: {', 'database: { migrate: false,'));
      t.match(await run('users create ann@b.example'), { code: 1, stderr: /Run "tollgate migrate up" first/ });
      await writeFile(file, text);
      t.match(await json('users create ann@b.example'), { credits: 5000 });
      t.match(await json('ledger ann@b.example'), { entries: [{ kind: 'signup', amount: 5000, actor }] });
    },
  );

  t.test(`${dialect}: users are created, found, planned, blocked and listed`, async (t) => {
    const { run, json } = await openCommandLine(t, dialect, plans);
    await run('migrate up');
    const ann = await json<{ id: string }>('users create Ann@b.example');
    t.match(ann, { email: 'Ann@b.example', name: 'Ann', plan: 'Basic', credits: 5000 });
    const bot = await json<{ id: string }>(['users', 'create', '--name', 'nightly bot', '--plan', 'Gold']);
    t.match(bot, { email: null, name: 'nightly bot', plan: 'Gold', credits: 70 });
    t.match(await run('users create ann@B.example'), { code: 1, stderr: /There is a user ann@B\.example already/ });
    t.match(await run('users create --plan Silver'), { code: 2, stderr: /no plan "Silver"\. Choose one of .*Gold/ });
    t.match(await json('users show ANN@b.example'), { id: ann.id, reserved: 0, available: 5000, keys: [] });
    t.match(await json('users plan ann@b.example Gold'), { plan: 'Gold', credits: 5000 });
    t.match(await json(`users block ${bot.id}`), { blockedAt: /Z$/ });
    t.match(await json(`users unblock ${bot.id}`), { blockedAt: null });
    t.match(await run('users show https://accounts.example#7'), { code: 1, stderr: /There is no user .*users list/ });
    t.match(await json('users list --search NIGHTLY'), { users: [{ id: bot.id }], next: null });
    const page = await run('users list --limit 1');
    t.match(page.stdout, /^ID +EMAIL +NAME +PLAN +CREDITS +BLOCKED\n/);
    t.match(page.stderr, /There are more: --after \w+/);
  });

  t.test(`${dialect}: credits move with an entry, a line in the log and the actor`, async (t) => {
    const { run, json } = await openCommandLine(t, dialect);
    await run('migrate up');
    const { id } = await json<{ id: string }>('users create ann@b.example');
    const grant = await run([
      'credits',
      'grant',
      'ann@b.example',
      '500',
      '--kind',
      'topup',
      '--note',
      'invoice 7',
      '--json',
    ]);
    const granted = JSON.parse(grant.stdout);
    t.match(granted, { userId: id, kind: 'topup', amount: 500, credits: 5500 });
    t.match(JSON.parse(grant.stderr), { user: id, kind: 'topup', amount: 500, balance: 5500, entry: granted.entryId });
    t.match(await json('credits deduct ann@b.example 5500'), { kind: 'adjustment', amount: -5500, credits: 0 });
    t.match(await run('credits deduct ann@b.example 1'), {
      code: 1,
      stderr: /The balance is 0, less than 1\. .*--force/,
    });
    t.match(await json('credits deduct ann@b.example 1 --force'), { credits: -1 });
    t.match(await run('credits set ann@b.example 9 --if 0'), { code: 1, stderr: /The balance is -1, not 0/ });
    t.match(await json('credits set ann@b.example 9'), { amount: 10, credits: 9 });
    t.match(await run('credits set ann@b.example 9 --quiet'), { code: 0, stderr: '' });
    t.match(await json('credits show ann@b.example'), { userId: id, credits: 9, reserved: 0, available: 9 });

    const { entries } = await json<Entries>('ledger ann@b.example');
    t.same(
      entries.map(({ kind, amount }) => [kind, amount]),
      [
        ['adjustment', 10],
        ['adjustment', -1],
        ['adjustment', -5500],
        ['topup', 500],
        ['signup', 5000],
      ],
    );
    t.ok(entries.every((entry) => entry.actor === actor));
    t.equal(entries[3]?.note, 'invoice 7');
    const page = await json<Entries>('ledger ann@b.example --limit 2');
    t.same((await json<Entries>(`ledger ann@b.example --before ${page.next}`)).entries, entries.slice(2));
    for (const [filter, expected] of [
      ['--kind topup', [entries[3]]],
      ['--kind charge', []],
      ['--route /', []],
      ['--from 2026-01-01 --to 2999-01-01', entries],
      ['--to 2026-01-01', []],
    ] as const) {
      t.same((await json<Entries>(`ledger ann@b.example ${filter}`)).entries, expected, filter);
    }
    t.match(await run('ledger ann@b.example --kind gift'), { code: 2, stderr: /Allowed choices are signup, charge/ });
    t.match(await json('audit'), { users: 1, differences: [] });
  });

  t.test(`${dialect}: a grant with an idempotency key is given once`, async (t) => {
    const { run, json } = await openCommandLine(t, dialect);
    await run('migrate up');
    await json('users create ann@b.example');
    const grant = 'credits grant ann@b.example 50 --idempotency-key k1';
    const first = await json(grant);
    t.match(first, { credits: 5050 });
    t.same(await json(grant), first);
    t.match(await run('credits grant ann@b.example 51 --idempotency-key k1'), {
      code: 1,
      stderr: /"k1" was used for another request/,
    });
  });

  t.test(`${dialect}: a key is printed once, and listed, rotated and revoked without it`, async (t) => {
    const { run, json } = await openCommandLine(t, dialect);
    await run('migrate up');
    await json('users create ann@b.example');
    const { id, key } = await json<{ id: string; key: string }>(
      'keys create ann@b.example --name ci --limit 9 --expires 90d',
    );
    t.ok(isWellFormedKey(key));
    const rotated = await json<{ key: string }>(`keys rotate ${id} --overlap 1h`);
    t.match(rotated, { id, limit: 9, previousExpiresAt: /Z$/ });
    t.ok(isWellFormedKey(rotated.key) && rotated.key !== key);
    t.match(await json(`keys revoke ${id}`), { id, revokedAt: /Z$/ });
    t.match(await run(`keys rotate ${id}`), { code: 1, stderr: /is revoked\. .*keys create/ });
    t.match(await run(`keys revoke ${key}`), { code: 1, stderr: /There is no key "tg_\[redacted\]"/ });
    const listed = await run('keys list ann@b.example');
    t.match(listed.stdout, `${rotated.key.slice(0, 9)}…`);
    t.notMatch(listed.stdout + listed.stderr, /tg_[0-9A-Za-z]{30}/);
  });

  t.test(`${dialect}: the audit ends with 1 and names who is off`, async (t) => {
    const { run, test } = await openCommandLine(t, dialect);
    await run('migrate up');
    await run('users create ann@b.example');
    await test.database.db
      .updateTable('users')
      .set({ credits: 7, posted: 1 + 1 })
      .execute();
    const audit = await run('audit');
    t.equal(audit.code, 1);
    t.match(audit.stdout, /ann@b\.example +7 +5000 +-4993\n/);
  });

  t.test(
    `${dialect}: the audit ends with 1 for a day whose totals are off, and puts them right when told so`,
    async (t) => {
      const { run, json, test } = await openCommandLine(t, dialect);
      await run('migrate up');
      const hour = '2026-01-01T23:00:00.000Z';
      const row = { user_id: 'u1', route: 'chat', hour, calls: 3, charged: 20, failed: 1, refused: 2 };
      await test.database.db.insertInto('usage_hourly').values(row).execute();
      const audit = await run('audit');
      t.equal(audit.code, 1);
      t.match(audit.stdout, /2026-01-01 +1 +1\n.*not the sum of their hours: 1\. Count them anew with --recount\./s);
      t.match(await run('audit --recount'), { code: 0, stdout: /They were counted anew\./ });
      t.match(await json('audit'), { usage: { days: 1, differences: [], recounted: false } });
    },
  );

  t.test(`${dialect}: usage is summed up in the range`, async (t) => {
    const { run, json, test } = await openCommandLine(t, dialect);
    await run('migrate up');
    const row = { user_id: 'u1', route: 'chat', calls: 3, charged: 20, failed: 1, refused: 2 };
    const hours = ['2026-01-01T23:00:00.000Z', '2026-01-02T00:00:00.000Z'].map((hour) => ({ ...row, hour }));
    await addUsage(test.database.db, hours);
    t.match(await json('usage'), {
      by: 'route',
      rows: [{ route: 'chat', calls: 6, charged: 40, failed: 2, refused: 4 }],
    });
    t.match(await json('usage --by day --from 2026-01-02'), {
      rows: [{ day: '2026-01-02', calls: 3 }],
      hasMore: false,
    });
    t.match((await run('usage --by user')).stdout, /^USER +CALLS +CHARGED +FAILED +REFUSED\nu1 +6 +40 +2 +4\n$/);
  });
}

t.test('a database that cannot be reached is one line with the remedy, without its password', async (t) => {
  const { run, folder } = await openCommandLine(t, 'sqlite');
  const text =
    'database:\n  url: postgres://u:hunter2@127.0.0.1:9/x\nupstreams:\n  api: http://127.0.0.1:9\nroutes:\n  - path: /\n    upstream: api\n';
  await writeFile(join(folder, 'gateway.yaml'), text);
  const { code, stderr } = await run('users list');
  t.equal(code, 1);
  t.match(stderr, /^error: .*ECONNREFUSED.* The database cannot be reached: .*database\.url\.\n$/);
  t.notMatch(stderr, /hunter2/);
});

t.test('a reader that has seen enough ends a command quietly', async (t) => {
  const { run, start, test } = await openCommandLine(t, 'sqlite');
  await run('migrate up');
  const users = Array.from({ length: 1_000 }, (_, i) => ({ id: `u${i}`, name: 'x'.repeat(200) }));
  await test.database.db.insertInto('users').values(users).execute();
  const { child, ended } = start('users list --limit 1000');
  child.stdout?.destroy();
  t.match(await ended, { code: 0, stderr: '' });
});

t.test(
  'in a process of its own, a command finds gateway.yaml, prints its result, and ends with its code',
  async (t) => {
    const { start } = await openCommandLine(t, 'sqlite');
    t.match(await start('migrate up --json').ended, {
      code: 0,
      stdout: `${JSON.stringify({ applied: everyMigration })}\n`,
      stderr: '',
    });
    t.match(await start('credits show nobody --json').ended, {
      code: 1,
      stdout: '',
      stderr: /^{"error":{"code":"USER_NOT_FOUND"/,
    });
    t.match(await start('credits show').ended, { code: 2, stdout: '', stderr: /^error: missing required argument/ });
  },
);

t.test('on a terminal, what is done to credits is logged for people, and an audit shows a bar', async (t) => {
  const { run } = await openCommandLine(t, 'sqlite');
  const terminal = { text: '', isTTY: true };
  await run('migrate up', terminal);
  t.match(await run('users create ann@b.example', terminal), { code: 0, stderr: /INFO.*signup/ });
  t.match(await run('audit', terminal), { code: 0, stdout: /^Users: 1\./, stderr: /100 % \| 1\/1 users/ });
});

t.test('on a terminal, migrate down asks, and does nothing without a yes', async (t) => {
  const { run, json } = await openCommandLine(t, 'sqlite');
  await run('migrate up');
  t.match(await json('migrate down'), { reverted: ['0009_endings'] });
  await run('migrate down --yes');
  t.match(await json('migrate down'), { reverted: ['0007_claims'] });
  t.match(await json('migrate down'), { reverted: ['0006_asked_leases'] });
  t.match(await json('migrate down'), { reverted: ['0005_audit'] });
  t.match(await json('migrate down'), { reverted: ['0004_by_hand'] }, 'nothing to ask where nothing is lost');
  const declined = await run('migrate down', { text: 'no\n', isTTY: true });
  t.match(declined, { code: 1, stdout: '', stderr: /This drops .* Type "yes" to go on: .*Nothing was changed/s });
  t.match(await json('migrate status'), { migrations: [{ appliedAt: /Z$/ }] });
  t.match(await run('migrate down', { text: 'yes\n', isTTY: true }), { code: 0, stdout: /Reverted/ });
});

t.test('a database that cannot be looked at is not called missing', async (t) => {
  const { run, folder } = await openCommandLine(t, 'sqlite');
  const circle = join(folder, 'circle.db');
  await symlink(circle, circle);
  const file = join(folder, 'gateway.yaml');
  await writeFile(file, (await readFile(file, 'utf8')).replace(/"sqlite:[^"]*"/, `"sqlite:${circle}"`));
  const { code, stderr } = await run('users list');
  t.equal(code, 1);
  t.match(stderr, /circle\.db/);
  t.notMatch(stderr, /migrate up/);
});
