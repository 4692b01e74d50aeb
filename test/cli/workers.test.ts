// Several processes that share the port: real ones, with signals as an operator or a terminal sends them.

import t from 'tap';
import { freePort } from '../../scripts/free-port.ts';
import { openCommandLine } from '../helpers/command-line.ts';
import { CookieJar } from '../helpers/cookie-jar.ts';
import { dialects } from '../helpers/databases.ts';
import { startIdentityProvider } from '../helpers/identity-provider.ts';
import { providerYaml, sessionOf, sessionSecret, signIn } from '../helpers/sign-in-gateways.ts';
import { until } from '../helpers/until.ts';
import { startUpstream } from '../helpers/upstreams.ts';
import { chargesIn, edit, startGate } from '../helpers/workers-gate.ts';

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
