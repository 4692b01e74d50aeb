// Several processes that share the port: real ones, with signals as an operator, a terminal or a kernel sends them.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '../../scripts/free-port.ts';
import { type CommandLine, openCommandLine, type Running } from '../helpers/command-line.ts';
import { CookieJar } from '../helpers/cookie-jar.ts';
import { type Dialect, dialects, type TestDatabase } from '../helpers/databases.ts';
import { startIdentityProvider } from '../helpers/identity-provider.ts';
import { providerYaml, sessionOf, sessionSecret, signIn } from '../helpers/sign-in-gateways.ts';
import { until } from '../helpers/until.ts';
import { startUpstream } from '../helpers/upstreams.ts';
import { Wire } from '../helpers/wire.ts';

for (const dialect of dialects) {
  t.test(
    `${dialect}: two workers share the port, both charge, and the books and the metrics know it all`,
    async (t) => {
      const gate = await startGate(t, dialect);
      for (let calls = 0; calls < 20; calls++) t.equal(await gate.call('/'), 200);
      t.equal(await gate.metric('tollgate_charges_total{route="/"}'), 20);
      t.equal(await gate.metric('tollgate_requests_total{route="/",code="200"}'), 20);
      t.equal(await gate.metric('tollgate_store_up'), 1);
      t.same(await gate.obstacles(), []);

      gate.process.child.kill('SIGTERM');
      t.match(await gate.process.ended, { code: 0, stderr: '' });
      const lines = gate.log();
      const charging = lines.filter(({ msg }) => msg === 'charge').map(({ worker }) => worker);
      t.same([...new Set(charging)].sort(), [1, 2], 'each line says of which worker it is');
      t.equal(lines.filter(({ address }) => address !== undefined).length, 1, 'the address is told once');
      t.equal(await chargesIn(gate.test), 20);
      t.same(await gate.test.database.db.selectFrom('leases').selectAll().execute(), [], 'no lease is left behind');
      t.match(await gate.commands.run('audit'), { code: 0 });
    },
  );

  t.test(
    `${dialect}: Ctrl-C, which reaches all of them, drains and then lets calls in flight end everywhere`,
    async (t) => {
      const gate = await startGate(t, dialect, 'drainDelay: 1s, shutdownTimeout: 10s');
      const held = [1, 2, 3, 4].map(() => gate.call('/held'));
      await until(
        () => gate.held.length,
        (count) => count === 4,
      );
      gate.process.child.kill('SIGINT');
      for (const pid of gate.workers().values()) process.kill(pid, 'SIGINT');
      await until(
        () => gate.obstacles(),
        ([obstacle]) => obstacle === 'shutting down',
      );
      t.equal(await gate.call('/late'), 200, 'whoever comes while it drains is served');
      for (const answer of gate.held) answer.end('at last');
      t.same(await Promise.all(held), [200, 200, 200, 200]);
      t.match(await gate.process.ended, { code: 0, stderr: '' });
      t.equal(await chargesIn(gate.test), 5);
      t.match(await gate.commands.run('audit'), { code: 0 });
    },
  );
}

t.test('a worker that is killed is replaced, again and again; calls go on, and no counter goes back', async (t) => {
  const gate = await startGate(t, 'sqlite');
  for (let calls = 0; calls < 10; calls++) t.equal(await gate.call('/'), 200);
  const charges = 'tollgate_charges_total{route="/"}';
  t.equal(await gate.metric(charges), 10);
  // The configuration is the one that the parent has read.
  const file = join(gate.commands.folder, 'gateway.yaml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, 'half a file: [');
  for (const pauseMs of [0, 500]) {
    const pid = gate.pidOf(1);
    process.kill(pid, 'SIGKILL');
    await until(
      () => gate.log(),
      (lines) =>
        lines.some((line) => line['pid'] === pid && line['pauseMs'] === pauseMs && line['signal'] === 'SIGKILL'),
    );
    t.equal(await gate.call('/'), 200, 'the other serves');
    t.ok((await gate.metric(charges)) > 10, 'what the dead had counted is there at once');
    await until(
      () => gate.obstacles(),
      (obstacles) => obstacles.length === 0,
      startMaxMs,
    );
    t.not(gate.pidOf(1), pid);
  }
  t.equal(await gate.metric(charges), 12, 'those of the dead are not forgotten');
  for (let calls = 0; calls < 4; calls++) t.equal(await gate.call('/'), 200);
  t.equal(await gate.metric(charges), 16);
  t.equal(gate.log().filter(({ msg }) => msg === 'tollgate is ready').length, 1);
  gate.process.child.kill('SIGTERM');
  t.match(await gate.process.ended, { code: 0 }, 'a death that was made good is no bad end');
  await writeFile(file, text);
  t.match(await gate.commands.run('audit'), { code: 0 });
});

t.test(
  'a worker that stands still is told by /readyz; once it is killed, who was on the way to it is let go',
  async (t) => {
    const gate = await startGate(t, 'sqlite');
    for (let calls = 0; calls < 4; calls++) t.equal(await gate.call('/'), 200);
    t.equal(await gate.metric('tollgate_charges_total{route="/"}'), 4);
    const pid = gate.pidOf(2);
    process.kill(pid, 'SIGSTOP');
    t.same(await gate.obstacles(), ['worker 2 does not answer']);
    t.equal(await gate.metric('tollgate_charges_total{route="/"}'), 4);
    const calls = [1, 2, 3].map(() => gate.call('/'));
    const others = Promise.allSettled(calls);
    await until(
      () => gate.log().filter(({ msg }) => msg === 'request').length,
      (count) => count === 6,
    );
    process.kill(pid, 'SIGKILL');
    const reasons = (await others).flatMap((call) => (call.status === 'rejected' ? [call.reason] : []));
    t.match(reasons, [{ message: /^closed without a whole answer/ }], 'one of the three');
    await until(
      () => gate.obstacles(),
      (obstacles) => obstacles.length === 0,
    );
    gate.process.child.kill('SIGTERM');
    t.match(await gate.process.ended, { code: 0 });
  },
);

t.test('a second signal ends all of them at once, with 1', async (t) => {
  const gate = await startGate(t, 'sqlite', 'shutdownTimeout: 1h');
  const stuck = gate.call('/held');
  stuck.catch(() => {});
  await until(
    () => gate.held.length,
    (count) => count === 1,
  );
  gate.process.child.kill('SIGTERM');
  await gate.process.printed(/a worker is stopping/);
  gate.process.child.kill('SIGTERM');
  // Its output ends when nobody is left who could write there.
  t.match(await gate.process.ended, { code: 1 });
  // A worker that was not ended would hold it until the test gives up.
  await t.rejects(stuck, { message: /^closed without a whole answer/ });
});

t.test('when the parent is killed, its workers end what is in flight, hand in their charges, and end', async (t) => {
  const gate = await startGate(t, 'sqlite', 'shutdownTimeout: 10s');
  const held = [1, 2, 3, 4].map(() => gate.call('/held'));
  await until(
    () => gate.held.length,
    (count) => count === 4,
  );
  gate.process.child.kill('SIGKILL');
  await gate.process.printed(/the parent of this worker is gone/);
  for (const answer of gate.held) answer.end('at last');
  t.same(await Promise.all(held), [200, 200, 200, 200]);
  // Its output ends when nobody is left who could write there.
  t.match(await gate.process.ended, { code: null, stderr: '' });
  t.equal(await chargesIn(gate.test), 4);
  t.same(await gate.test.database.db.selectFrom('leases').selectAll().execute(), [], 'no lease is left behind');
  t.match(await gate.commands.run('audit'), { code: 0 });
});

t.test('a worker without a parent ends, also when something of it cannot be closed', async (t) => {
  const gate = await startGate(t, 'sqlite');
  t.equal(await gate.call('/'), 200);
  const dataDir = join(gate.commands.folder, 'data');
  const folders = (await readdir(dataDir)).filter((name) => name.startsWith('instance-'));
  t.equal(folders.length, 2);
  for (const folder of folders) {
    const journal = join(dataDir, folder, 'journal-000001.jsonl');
    await rm(journal);
    // A folder is not removed as a file is.
    await mkdir(journal);
  }
  gate.process.child.kill('SIGKILL');
  t.match(await gate.process.ended, { code: null });
  t.equal(await chargesIn(gate.test), 1);
  t.same(await gate.test.database.db.selectFrom('leases').selectAll().execute(), [], 'no lease is left behind');
});

t.test('what keeps every worker from starting ends the start as it ends that of one process', async (t) => {
  const { port } = new URL((await startUpstream(t)).url);
  const commands = await openCommandLine(t, 'sqlite');
  await edit(commands, 'port: 0', 'port: 0, workers: 2');
  await edit(commands, 'database: {', 'database: { migrate: false,');
  const bare = await commands.start('start').ended;
  t.match(bare, { code: 1, stderr: /^error: .*no such table.*\n$/ });
  await edit(commands, 'workers: 2', 'workers: 1');
  t.match(await commands.start('start').ended, { code: 1, stderr: bare.stderr }, 'word for word');

  await edit(commands, 'migrate: false,', '');
  await edit(commands, 'port: 0, workers: 1', `port: ${port}, workers: 2`);
  const taken = await commands.start('start').ended;
  t.match(taken, { code: 1, stderr: /^error: .*EADDRINUSE.*choose another in server\.port or ops\.port\.\n$/ });

  await edit(commands, 'workers: 2', 'workers: 65');
  t.match(await commands.start('start').ended, { code: 78, stderr: /workers.*from 1 to 64/s });
});

t.test('people sign in although they come back to another worker than the one they began at', async (t) => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const redirect = `${url}/_tollgate/auth/callback/work`;
  const provider = await startIdentityProvider(t, { redirectUris: [redirect] });
  const auth = `session: { secret: "${sessionSecret}" }, providers: { ${providerYaml('work', provider)} }`;
  const more = `auth: { ${auth}, allow: { emailDomains: ["*"] } }`;
  const gate = await startGate(t, 'sqlite', `publicUrl: "${url}"`, { more, port });
  const workerAt = (path: string) => gate.log().findLast((line) => line['path'] === path)?.['worker'];
  await until(
    async () => {
      const jar = new CookieJar();
      await signIn(jar, url, 'work');
      t.match(await sessionOf(jar, url), { user: { email: 'ann@example.com' } });
      return [workerAt('/_tollgate/auth/login/work'), workerAt('/_tollgate/auth/callback/work')];
    },
    ([began, ended]) => began !== undefined && ended !== undefined && began !== ended,
  );
});

/** Three processes, on a machine that does other things as well. */
const startMaxMs = 60_000;

type LogLine = Readonly<Record<string, unknown>>;

interface Gate {
  readonly process: Running;
  readonly commands: CommandLine;
  readonly test: TestDatabase;
  /** What the upstream has not answered yet. */
  readonly held: readonly ServerResponse[];
  /** Number → process id, of those that came last. */
  workers(): ReadonlyMap<number, number>;
  pidOf(worker: number): number;
  log(): readonly LogLine[];
  /** Asks for a path on a connection of its own, and gives the status. Rejects when it is cut. */
  call(path: string): Promise<number>;
  /** The value of a metric, by its name with labels. */
  metric(name: string): Promise<number>;
  /** Why /readyz is not 200; empty when it is. */
  obstacles(): Promise<string[]>;
}

/** A gateway of two workers, all ready, in front of an upstream that answers at once, but for `/held`. */
async function startGate(t: Test, dialect: Dialect, server = '', { more = '', port = 0 } = {}): Promise<Gate> {
  const held: ServerResponse[] = [];
  const upstream = await startUpstream(t, ({ url }, response) => {
    if (url === '/held') held.push(response);
    else response.end('at once');
  });
  const commands = await openCommandLine(t, dialect, more);
  await edit(commands, 'http://127.0.0.1:9', upstream.url);
  await edit(commands, 'port: 0', `port: ${port}, workers: 2, ${server}`);
  await commands.json('users create bob@b.example');
  const { key } = await commands.json<{ key: string }>('keys create bob@b.example');
  const running = commands.start('start');
  const log = () => linesOf(running.stdout());
  const ready = () => log().find(({ msg }) => msg === 'tollgate is ready');
  // The last of the workers may tell it after the parent does.
  await until(
    () => ready() !== undefined && workersIn(log()).size === 2,
    (isReady) => isReady,
    startMaxMs,
  );
  const [address, opsAddress] = [String(ready()?.['address']), String(ready()?.['opsAddress'])];
  const call = async (path: string) => {
    const wire = Wire.to(Number(new URL(address).port));
    t.teardown(() => wire.leave());
    wire.send(`GET ${path} HTTP/1.1`, 'Host: h', `X-Api-Key: ${key}`, 'Connection: close', '', '');
    return (await wire.answer()).status;
  };
  const ask = async (path: string) => (await fetch(`${opsAddress}${path}`)).text();
  return {
    ...{ process: running, commands, test: commands.test, held, log, call },
    workers: () => workersIn(log()),
    pidOf: (worker) => {
      const pid = workersIn(log()).get(worker);
      // A signal to 0 is one to this test itself.
      if (pid === undefined) throw new Error(`there is no worker ${worker}`);
      return pid;
    },
    metric: async (name) => {
      const line = (await ask('/metrics')).split('\n').find((each) => each.startsWith(`${name} `));
      return Number(line?.slice(name.length));
    },
    obstacles: async () => JSON.parse(await ask('/readyz')).reasons ?? [],
  };
}

function linesOf(stdout: string): LogLine[] {
  const whole = stdout.slice(0, stdout.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

function workersIn(log: readonly LogLine[]): Map<number, number> {
  const ready = log.filter(({ msg }) => msg === 'a worker is ready');
  return new Map(ready.map(({ worker, pid }) => [Number(worker), Number(pid)]));
}

async function edit({ folder }: CommandLine, from: string, to: string): Promise<void> {
  const file = join(folder, 'gateway.yaml');
  const text = await readFile(file, 'utf8');
  if (!text.includes(from)) throw new Error(`${from} is not in ${text}`);
  await writeFile(file, text.replace(from, to));
}

async function chargesIn({ database }: TestDatabase): Promise<number> {
  const charges = database.db.selectFrom('ledger').where('kind', '=', 'charge');
  const { count } = await charges.select(({ fn }) => fn.countAll<number>().as('count')).executeTakeFirstOrThrow();
  return Number(count);
}
