import { sql } from 'kysely';
import t from 'tap';
import type { Report } from '../../src/verify/verify.ts';
import { openCommandLine } from '../helpers/command-line.ts';
import { startMaxMs } from '../helpers/workers-gate.ts';

t.test('verify tells in one document what was tried and what held, with nothing but a configuration', async (t) => {
  const { start } = await openCommandLine(t, 'sqlite');
  const { code, stdout, stderr } = await start('verify --minutes 0.1 --seed 5 --json').ended;
  const report: Report = JSON.parse(stdout);
  t.same(
    report.findings.flatMap(({ broken }) => broken),
    [],
    stderr,
  );
  t.match(report, { hasHeld: true, seed: 5, seconds: 6, gateways: 3, untried: [/SQLite is a file/] });
  t.ok(report.calls > 100, 'there was load');
  t.equal(code, 0);
});

t.test('verify works in a schema of its own, which is gone after Ctrl-C', async (t) => {
  const { start, test } = await openCommandLine(t, 'postgres');
  const { db } = test.database;
  const schemas = async () => {
    const { rows } = await sql<{ name: string }>`
      SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name LIKE 'tollgate_verify_%'`.execute(
      db,
    );
    return rows.map(({ name }) => name);
  };
  const { child, ended, printed } = start('verify --minutes 5');
  await printed(/started again|for a while|locked|to the database|refusing|gone silent/, startMaxMs);
  t.equal((await schemas()).length, 1);
  child.kill('SIGINT');
  t.match(await ended, { code: 1, stdout: '', stderr: /ended early, and everything cleared away/ });
  t.same(await schemas(), []);
  const { rows } = await sql`SELECT 1 FROM pg_tables WHERE schemaname = ${test.schema}`.execute(db);
  t.same(rows, [], 'the schema of the configuration was not touched');
});

t.test('verify takes minutes and seeds that make sense, and no others', async (t) => {
  const { run } = await openCommandLine(t, 'sqlite');
  for (const wrong of ['--minutes 0', '--minutes 61', '--minutes ten', '--seed -1', '--seed 9999999999']) {
    t.match(await run(`verify ${wrong}`), { code: 2, stdout: '' }, wrong);
  }
});
