import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { sql } from 'kysely';
import t from 'tap';
import type { Db } from '../../src/store/database.ts';
import { openCommandLine, startProcess } from '../helpers/command-line.ts';
import { dialects } from '../helpers/databases.ts';
import { until } from '../helpers/until.ts';

/** Enough that a backfill is still at work when it is interrupted. */
const users = 30_000;

for (const dialect of dialects) {
  t.test(`${dialect}: an import creates users once, and takes names and credits from the file`, async (t) => {
    const { run, json, folder } = await openCommandLine(t, dialect);
    await run('migrate up');
    const file = '\uFEFFname,email,credits\r\n"Lee, Ann",ann@b.example,7\r\n\r\n,bob@b.example,\r\n';
    await writeFile(join(folder, 'users.csv'), file);
    t.same(await json(['users', 'import', join(folder, 'users.csv')]), { created: 2, existing: 0 });
    t.same(await json(['users', 'import', join(folder, 'users.csv')]), { created: 0, existing: 2 });
    t.match(await json('users show ann@b.example'), { name: 'Lee, Ann', credits: 7 });
    t.match(await json('users show bob@b.example'), { name: 'bob', credits: 5000 });
    t.match(await run('users import -', { text: 'eve@b.example,Eve,3\n' }), { code: 0, stdout: /created +1/ });
    t.match(await json('audit'), { users: 3, differences: [] });
  });

  t.test(`${dialect}: an import with bad rows tells each with its line and changes nothing`, async (t) => {
    const { run, json } = await openCommandLine(t, dialect);
    await run('migrate up');
    const rows = [
      'email,name,credits',
      'good@b.example,Good,1',
      'no address,X,1',
      'a@b.example,"two\nlines",1',
      'c@b.example,C,-1',
      'd@b.example,D,1e3',
      'GOOD@b.example,Again,1',
      'e@b.example,E,1,extra',
    ];
    const { code, stdout, stderr } = await run('users import -', { text: rows.join('\n') });
    t.equal(code, 1);
    t.equal(stdout, '');
    t.same(stderr.trim().split('\n'), [
      'error: line 3: "no address" is not an e-mail address',
      'line 4: the name is not 1 to 200 characters on one line',
      'line 6: "-1" is not a whole number from 0 on',
      'line 7: "1e3" is not a whole number from 0 on',
      'line 8: GOOD@b.example is on line 2 already',
      'line 9: 4 fields instead of 3',
      'Nothing was changed: correct the file and import it again.',
    ]);
    t.same(await json('users list'), { users: [], next: null });
    t.match(await run('users import -', { text: 'mail,name\n' }), {
      code: 1,
      stderr: /line 1: name the columns email, name, credits/,
    });
    t.match(await run('users import -', { text: 'a@b.example,"open\n' }), { code: 1, stderr: /Quote Not Closed/ });
    t.match(await run('users import nowhere.csv'), { code: 1, stderr: /ENOENT.*Check the name of the file/ });
  });

  t.test(`${dialect}: a backfill that is killed is started again, and every user has one adjustment`, async (t) => {
    const { run, json, start, test } = await openCommandLine(t, dialect);
    const { db } = test.database;
    await run('migrate up');
    await emptyUsers(db, users);
    t.same(await json('backfill credits --dry-run'), { users, credits: 5000, dryRun: true });

    const first = start('backfill credits');
    await until(
      () => countEntries(db),
      (entries) => entries > 0,
    );
    first.child.kill('SIGKILL');
    t.equal((await first.ended).code, null);

    const left = await json<{ users: number }>('backfill credits');
    t.ok(left.users > 0 && left.users < users, `${left.users} were left`);
    t.equal(await countEntries(db), users);
    const audit = await run('audit');
    t.match(audit, {
      code: 0,
      stdout: new RegExp(`^Users: ${users}\\.`),
      stderr: new RegExp(`${users}/${users} users`),
    });
    t.match(await json('backfill credits --all --amount 0'), { users, credits: 0 });
  });

  t.test(`${dialect}: Ctrl-C stops a backfill between two batches`, async (t) => {
    const { run, start, test } = await openCommandLine(t, dialect);
    const { db } = test.database;
    await run('migrate up');
    await emptyUsers(db, users);
    const backfill = start('backfill credits');
    await until(
      () => countEntries(db),
      (entries) => entries > 0,
    );
    backfill.child.kill('SIGINT');
    const { code, stdout, stderr } = await backfill.ended;
    t.match({ code, stdout }, { code: 1, stdout: '' });
    const [, set] = /error: Stopped with (\d+) of 30000 users set\. Run it again to do the rest\./.exec(stderr) ?? [];
    t.equal(Number(set), await countEntries(db));
  });
}

t.test('the script of the old name is the same backfill, straight from its source', async (t) => {
  const { run, json, folder } = await openCommandLine(t, 'sqlite');
  await run('migrate up');
  await run('users create ann@b.example');
  await run('credits set ann@b.example 0');
  const tsx = resolve('node_modules/tsx/dist/cli.mjs');
  const args = [tsx, resolve('scripts/update-existing-users-credits.ts'), '--amount', '60', '--json', '--quiet'];
  const { ended } = startProcess(t, process.execPath, args, folder);
  t.match(await ended, { code: 0, stdout: '{"users":1,"credits":60,"dryRun":false}\n', stderr: '' });
  t.match(await json('credits show ann@b.example'), { credits: 60 });
});

async function emptyUsers(db: Db, count: number): Promise<void> {
  for (let at = 0; at < count; at += 5_000) {
    const batch = Array.from({ length: 5_000 }, (_, i) => ({ id: `u${at + i}`, name: 'U', credits: 0, posted: 1 }));
    await db.insertInto('users').values(batch).execute();
  }
}

async function countEntries(db: Db): Promise<number> {
  const { rows } = await sql<{ entries: number }>`SELECT count(*) AS entries FROM ledger`.execute(db);
  return rows[0]?.entries ?? 0;
}
