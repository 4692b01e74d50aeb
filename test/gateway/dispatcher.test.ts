// The way to an upstream, by itself: real connections, and a watcher and a receiver that note what they are told.

import { createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { type Receiver, UpstreamDispatcher, type Watcher } from '../../src/gateway/dispatcher.ts';
import { until } from '../helpers/until.ts';
import { Wire } from '../helpers/wire.ts';
import { listen } from './gate.ts';
import { sampleUpstream } from './sample-routes.ts';

interface Told {
  readonly steps: string[];
  body: string;
  cancel: () => void;
  resume: () => void;
  /** Whether there is room for more after a chunk. */
  hasRoom: boolean;
}

t.test('an upstream that closes while its answer is held back neither ends the process nor loses a byte', async (t) => {
  const { told, port } = await dispatch(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it'), {
    hasRoom: false,
  });
  await until(
    () => told.body,
    (body) => body === 'all of it',
  );
  // The end is here too once another connection has come and gone.
  await Wire.to(port).send('x').waitForClose();
  t.same(told.steps, ['start', 'status 200', 'head 200'], 'the end waits as well');
  told.resume();
  await until(
    () => told.steps.at(-1),
    (step) => step === 'end',
  );
  t.same(told.steps, ['start', 'status 200', 'head 200', 'whole', 'end']);
});

t.test('an upstream that breaks off while its answer is held back has failed', async (t) => {
  let upstream: Socket | null = null;
  const { told } = await dispatch(
    t,
    (socket) => {
      upstream = socket;
      socket.write('HTTP/1.1 200 OK\r\n\r\nsome of it');
    },
    { hasRoom: false },
  );
  await until(
    () => told.body,
    (body) => body === 'some of it',
  );
  (upstream as Socket | null)?.resetAndDestroy();
  told.resume();
  await until(
    () => told.steps.at(-1),
    (step) => step === 'no answer: TG_UPSTREAM_UNREACHABLE',
  );
  t.same(told.steps.slice(3), ['failed: TG_UPSTREAM_UNREACHABLE', 'no answer: TG_UPSTREAM_UNREACHABLE']);
});

t.test('while an answer is held back the time between two reads does not run', async (t) => {
  const some = (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall ');
  const { told } = await dispatch(t, some, { hasRoom: false, readTimeout: 50 });
  await until(
    () => told.body,
    (body) => body === 'all ',
  );
  // One that began later, and is not held back, has run out of its time.
  await untilTimedOut((await dispatch(t, some, { readTimeout: 50 })).told);
  t.same(told.steps.slice(3), []);
  told.resume();
  await untilTimedOut(told);
});

t.test('an exchange that is given up tells nothing more, and its connection is closed', async (t) => {
  let upstream: Socket | null = null;
  const { told } = await dispatch(t, (socket) => {
    upstream = socket;
    socket.write('HTTP/1.1 200 OK\r\n\r\nsome of it');
  });
  await until(
    () => told.body,
    (body) => body === 'some of it',
  );
  told.cancel();
  told.cancel();
  await until(
    () => (upstream as Socket | null)?.destroyed,
    (isGone) => isGone === true,
  );
  t.same(told.steps, ['start', 'status 200', 'head 200']);
});

t.test('a receiver that cannot take the header hears that there is no answer', async (t) => {
  const { told } = await dispatch(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'), {
    onHead: () => {
      throw new Error('cannot be written');
    },
  });
  await until(
    () => told.steps.at(-1),
    (step) => step === 'no answer: TG_INTERNAL',
  );
  t.same(told.steps, ['start', 'status 200', 'failed: TG_INTERNAL', 'no answer: TG_INTERNAL']);
});

async function untilTimedOut(told: Told): Promise<void> {
  await until(
    () => told.steps.at(-1),
    (step) => step === 'no answer: TG_UPSTREAM_TIMEOUT',
  );
}

interface DispatchOptions {
  readonly hasRoom?: boolean;
  readonly readTimeout?: number;
  readonly onHead?: () => void;
}

/** Sends one request to an upstream that does `answer` on each connection once it was spoken to. */
async function dispatch(
  t: Test,
  answer: (socket: Socket) => unknown,
  { hasRoom = true, readTimeout = 0, onHead = () => {} }: DispatchOptions = {},
): Promise<{ told: Told; port: number }> {
  const server = createServer((socket) =>
    socket.once('data', (said) => (String(said) === 'x' ? socket.end() : answer(socket))),
  );
  const port = await listen(t, server);
  const dispatcher = new UpstreamDispatcher({ api: sampleUpstream(`http://127.0.0.1:${port}`) });
  t.teardown(() => dispatcher.destroy());
  const told: Told = { steps: [], body: '', cancel: () => {}, resume: () => {}, hasRoom };
  const watcher: Watcher = {
    onStart: (cancel) => {
      told.cancel = cancel;
      told.steps.push('start');
    },
    onStatus: (status) => told.steps.push(`status ${status}`),
    onWhole: () => told.steps.push('whole'),
    onSwitched: () => told.steps.push('switched'),
    onFailed: ({ code }) => told.steps.push(`failed: ${code}`),
  };
  const receiver: Receiver = {
    onInterim: (status) => told.steps.push(`interim ${status}`),
    onHead: (status, _reason, _fields, resume) => {
      onHead();
      told.resume = resume;
      told.steps.push(`head ${status}`);
    },
    onData: (chunk) => {
      told.body += chunk;
      return told.hasRoom;
    },
    onEnd: () => told.steps.push('end'),
    onSwitched: () => told.steps.push('tunnel'),
    onFailed: ({ code }) => told.steps.push(`no answer: ${code}`),
  };
  const request = { upstream: 'api', method: 'GET', path: '/', fields: ['Host', 'h'], body: null, protocol: null };
  dispatcher.send({ ...request, readTimeout, watcher, receiver });
  return { told, port };
}
