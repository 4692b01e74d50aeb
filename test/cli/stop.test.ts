// How a gateway stops: a process of its own, signals as an operator or a container sends them, calls under way.

import { readFile, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type CommandLine, openCommandLine, type Running } from '../helpers/command-line.ts';
import { type Dialect, dialects, type TestDatabase } from '../helpers/databases.ts';
import { until } from '../helpers/until.ts';
import { startUpstream } from '../helpers/upstreams.ts';
import { Wire } from '../helpers/wire.ts';

const webSocket = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: eA=='];
/** A close frame with status 1001, as a server sends it, and as a client does: masked, with a mask of zeros. */
const goingAway = { fromServer: '\x88\x02\x03\xe9', fromClient: '\x88\x82\0\0\0\0\x03\xe9' };

for (const dialect of dialects) {
  t.test(
    `${dialect}: SIGTERM first drains, then lets calls in flight end and charges them, then exits with 0`,
    async (t) => {
      const gate = await startGate(t, dialect, 'drainDelay: 1s, shutdownTimeout: 3s');
      const slow = gate.call('/slow');
      const stuck = gate.call('/stuck');
      const tunnel = gate.call('/tunnel', webSocket);
      t.equal((await tunnel.answer()).status, 101);
      await until(
        () => gate.waiting.size,
        (size) => size === 2,
      );

      gate.process.child.kill('SIGTERM');
      await until(
        async () => (await fetch(`${gate.opsAddress}/readyz`)).status,
        (status) => status === 503,
      );
      t.equal((await gate.call('/late').answer()).status, 200, 'whoever comes while it drains is served');

      t.equal((await tunnel.waitForClose()).endsWith(goingAway.fromServer), true, 'the caller of a tunnel is told');
      t.equal(gate.tunnelled.join('').endsWith(goingAway.fromClient), true, 'and its upstream');
      gate.waiting.get('/slow')?.end('at last');
      t.equal((await slow.answer()).body, 'at last');
      t.equal(await stuck.waitForClose(), '', 'what the limit finds open is cut');
      t.match(await gate.process.ended, { code: 0, stderr: '' });

      t.equal(await chargesIn(gate.test), 3, 'the slow, the late and the tunnel');
      t.same(await gate.test.database.db.selectFrom('leases').selectAll().execute(), [], 'no lease is left behind');
      t.match(await gate.commands.run('audit'), { code: 0 });
    },
  );

  t.test(
    `${dialect}: a second signal ends it at once, and what was under way is not charged, then or later`,
    async (t) => {
      const gate = await startGate(t, dialect, 'shutdownTimeout: 1h');
      t.equal((await gate.call('/one').answer()).status, 200);
      const stuck = gate.call('/stuck');
      await until(
        () => gate.waiting.size,
        (size) => size === 1,
      );
      gate.process.child.kill('SIGTERM');
      await gate.process.printed(/tollgate is stopping/);
      gate.process.child.kill('SIGTERM');
      t.match(await gate.process.ended, { code: 1 });
      await stuck.waitForClose();

      const next = gate.commands.start('start');
      await next.printed(/tollgate is ready/);
      next.child.kill('SIGTERM');
      t.match(await next.ended, { code: 0 });
      t.ok((await chargesIn(gate.test)) <= 1, 'at most the one that was answered');
      t.match(await gate.commands.run('audit'), { code: 0 });
    },
  );
}

interface RunningGate {
  readonly process: Running;
  readonly commands: CommandLine;
  readonly test: TestDatabase;
  readonly opsAddress: string;
  /** Path → the answer that the upstream has not given yet. */
  readonly waiting: ReadonlyMap<string, ServerResponse>;
  /** What the upstream has heard through its tunnel. */
  readonly tunnelled: readonly string[];
  /** Sends a GET on a connection of its own. */
  call(path: string, fields?: readonly string[]): Wire;
}

/** A gateway in front of an upstream that answers at once, but for `/slow`, `/stuck` and what asks for an upgrade. */
async function startGate(t: Test, dialect: Dialect, server: string): Promise<RunningGate> {
  const waiting = new Map<string, ServerResponse>();
  const tunnelled: string[] = [];
  const upstream = await startUpstream(t, ({ url = '' }, response) => {
    if (url === '/slow' || url === '/stuck') waiting.set(url, response);
    else response.end('at once');
  });
  upstream.server.on('upgrade', (_request, socket) => {
    socket.on('data', (chunk: Buffer) => tunnelled.push(chunk.toString('latin1')));
    socket.on('end', () => socket.end());
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  const commands = await openCommandLine(t, dialect);
  const file = join(commands.folder, 'gateway.yaml');
  const text = (await readFile(file, 'utf8')).replace('http://127.0.0.1:9', upstream.url);
  await writeFile(file, text.replace('server: { host', `server: { ${server}, host`));
  await commands.json('users create ann@b.example');
  const { key } = await commands.json<{ key: string }>('keys create ann@b.example');
  const process = commands.start('start');
  const [, address = '', opsAddress = ''] = await process.printed(/"address":"([^"]+)","opsAddress":"([^"]+)"/);
  const call = (path: string, fields: readonly string[] = []) => {
    const wire = Wire.to(Number(new URL(address).port));
    t.teardown(() => wire.leave());
    return wire.send(`GET ${path} HTTP/1.1`, 'Host: h', `X-Api-Key: ${key}`, ...fields, '', '');
  };
  return { process, commands, test: commands.test, opsAddress, waiting, tunnelled, call };
}

async function chargesIn({ database }: TestDatabase): Promise<number> {
  const charges = database.db.selectFrom('ledger').where('kind', '=', 'charge');
  const { count } = await charges.select(({ fn }) => fn.countAll<number>().as('count')).executeTakeFirstOrThrow();
  return count;
}
