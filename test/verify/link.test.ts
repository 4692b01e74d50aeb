import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { Link } from '../../src/verify/stage/link.ts';
import { until } from '../helpers/until.ts';

t.test('a silent link takes connections and lets nothing through, on those that are open too', async (t) => {
  const { link, heard } = await linkToEcho(t);
  const open = await joined(t, link);
  open.socket.write('one');
  await until(
    () => open.text(),
    (text) => text === 'one',
  );
  await link.set('silent');
  open.socket.write('two');
  const late = await joined(t, link);
  late.socket.write('three');
  await link.set('whole');
  await until(
    () => open.socket.destroyed && late.socket.destroyed,
    (isOver) => isOver,
  );
  t.same([open.text(), late.text(), heard()], ['one', '', 'one'], 'what was sent into the silence is lost');
  const next = await joined(t, link);
  next.socket.write('four');
  await until(
    () => next.text(),
    (text) => text === 'four',
  );
});

t.test('a link that refuses is the same port again when it is whole', async (t) => {
  const { link } = await linkToEcho(t);
  const { port } = link;
  await link.set('refused');
  const socket = connect(port, '127.0.0.1');
  const [error] = await once(socket, 'error');
  t.match(error, { code: 'ECONNREFUSED' });
  await link.set('whole');
  t.equal(link.port, port);
  const next = await joined(t, link);
  next.socket.write('again');
  await until(
    () => next.text(),
    (text) => text === 'again',
  );
  link.cut();
  await until(
    () => next.socket.destroyed,
    (isOver) => isOver,
  );
});

/** A link to a server that says back what it hears. */
async function linkToEcho(t: Test): Promise<{ link: Link; heard: () => string }> {
  let heard = '';
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (piece) => {
      heard += piece;
    });
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const link = await Link.open({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  t.teardown(async () => {
    await link.close();
    server.close();
  });
  return { link, heard: () => heard };
}

async function joined(t: Test, link: Link): Promise<{ socket: Socket; text: () => string }> {
  let text = '';
  const socket = connect(link.port, '127.0.0.1');
  socket
    .on('error', () => {})
    .on('data', (piece) => {
      text += piece;
    });
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return { socket, text: () => text };
}
