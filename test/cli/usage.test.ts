import t from 'tap';
import { createProgram } from '../../src/cli/program.ts';
import { commandLineIn, openCommandLine } from '../helpers/command-line.ts';
import { temporaryFolder } from '../helpers/databases.ts';

const contract = `start demo check migrate backfill users credits keys ledger usage audit health version`.split(' ');

t.test('every command of the contract is there, and validate is check', async (t) => {
  const names = createProgram(process, () => {}).commands.map((command) => command.name());
  t.same(
    contract.filter((name) => !names.includes(name)),
    [],
  );
  t.equal(
    createProgram(process, () => {})
      .commands.find((command) => command.alias() === 'validate')
      ?.name(),
    'check',
  );
});

t.test('wrong usage is exit code 2 with one line that tells what to write', async (t) => {
  const { run } = await openCommandLine(t, 'sqlite');
  for (const [args, message] of [
    ['credits grant u 1e3', "error: value '1e3' is invalid for argument 'amount'. Write a positive whole number"],
    ['credits deduct u -5', "error: value '-5' is invalid for argument 'amount'. Write a positive whole number"],
    ['backfill credits --amount 1.5', "'--amount <credits>' argument '1.5' is invalid. Write a whole number from 0 on"],
    ['credits grant u 5 --kind gift', 'Allowed choices are grant, topup, refund'],
    ['credits grant u', "missing required argument 'amount'"],
    ['users creat', "unknown command 'creat' (Did you mean create?)"],
    ['users list --limt 5', "unknown option '--limt' (Did you mean --limit?)"],
    ['keys create u --expires 90', 'such as 90d'],
    ['usage --from 2026-02-01 --to 2026-01-01', '--from has to be before --to'],
    ['version now', 'too many arguments'],
    [['check', '--explain', 'a b c'], 'POST /v1/chat'],
    [['check', '--explain', 'FOO /x'], 'FOO is no HTTP method'],
    ['keys create u --limit 0', 'positive whole number'],
    ['ledger u --before xx', 'the id of an entry'],
  ] as const) {
    const { code, stdout, stderr } = await run(args);
    t.equal(code, 2, String(args));
    t.equal(stdout, '');
    t.ok(stderr.startsWith('error: ') && stderr.includes(message), stderr);
    t.equal(stderr.trimEnd().split('\n').length, 1);
  }
});

t.test('with --json an error is one JSON line on stderr, and stdout stays empty', async (t) => {
  const { run } = await openCommandLine(t, 'sqlite');
  const { code, stdout, stderr } = await run('credits grant u 0 --json');
  t.equal(code, 2);
  t.equal(stdout, '');
  t.match(JSON.parse(stderr), { error: { code: 'USAGE', message: /positive whole number/ } });
});

t.test('no command is wrong usage with the help; help that was asked for is a result', async (t) => {
  const { run } = commandLineIn(t, await temporaryFolder(t));
  const bare = await run([]);
  t.match(bare, { code: 2, stdout: '', stderr: /Usage: tollgate/ });
  t.match(await run('users'), { code: 2, stdout: '', stderr: /import/ });
  const asked = await run('credits grant --help');
  t.match(asked, { code: 0, stderr: '' });
  for (const part of ['amount', '--idempotency-key', '--config', 'default: "grant"', 'Examples:', 'Exit codes: 0 done'])
    t.ok(asked.stdout.includes(part), part);
});

t.test('an invalid configuration is exit code 78 with every problem at its place', async (t) => {
  const { run } = await openCommandLine(t, 'sqlite', 'plnas: {}\ntopUpUrl: nowhere');
  const told = await run('users list');
  t.match(told, { code: 78, stdout: '' });
  t.match(told.stderr, /^\S*\/gateway\.yaml:6:1: .*plnas.*plans.*\n\S*gateway\.yaml:7:11: .*topUpUrl/);
  const missing = await run('users list --config nowhere.yaml');
  t.match(missing, { code: 78, stderr: /^nowhere\.yaml: .*does not exist.*--config/ });
});
