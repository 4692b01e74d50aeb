// How a gateway closes: nobody who is connected and owed nothing keeps it waiting. Its limit is an hour, so that what
// would wait for the limit does not pass.

import type { ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import { startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { valuesOf } from '../helpers/raw-answer.ts';
import { until } from '../helpers/until.ts';
import { Wire } from '../helpers/wire.ts';
import { promised } from './gate.ts';

const everything = '  - { path: /, upstream: api }';

t.test('connections that have sent nothing, or half a request, do not keep it waiting', async (t) => {
  const gate = await startPatientGateway(t);
  const { address, opsAddress } = gate.gateway;
  for (const url of [address, opsAddress]) {
    for (const text of ['', 'GET / HTTP/1.1\r\nHost:']) await connected(t, url, text);
  }
  t.same(await gate.gateway.close(), { chargesLeft: 0 });
});

t.test('a connection that is kept alive ends with the answer under way, and is told so', async (t) => {
  const asked = promised<ServerResponse>();
  const gate = await startPatientGateway(t, asked.resolve);
  const key = await gate.newKey('u', 10);
  const idle = await connected(t, gate.gateway.address, '');
  const busy = await connected(t, gate.gateway.address, `GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: ${key}\r\n\r\n`);
  const response = await asked.promise;
  const closing = gate.gateway.close();
  t.equal(await idle.waitForClose(), '');
  response.end('at last');
  const answer = await busy.answer();
  t.equal(answer.body, 'at last');
  t.same(valuesOf(answer.lines, 'connection'), ['close']);
  t.same(await closing, { chargesLeft: 0 });
});

t.test('of requests sent ahead all are answered, and only the last answer ends the connection', async (t) => {
  const waiting: ServerResponse[] = [];
  const gate = await startPatientGateway(t, (response) => void waiting.push(response));
  const key = await gate.newKey('u', 10);
  const request = `GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: ${key}\r\n\r\n`;
  const wire = await connected(t, gate.gateway.address, request + request);
  await until(
    () => waiting.length,
    (count) => count === 2,
  );
  const idle = await connected(t, gate.gateway.address, '');
  const closing = gate.gateway.close();
  await idle.waitForClose();
  for (const response of waiting) response.end('answered');
  t.equal((await wire.answer()).body, 'answered');
  t.equal((await wire.answer()).body, 'answered');
  t.same(await closing, { chargesLeft: 0 });
});

function startPatientGateway(t: Test, answer: (response: ServerResponse) => void = () => {}): Promise<TestGateway> {
  return startTestGateway(t, 'sqlite', everything, (_request, response) => answer(response), { shutdownTimeout: '1h' });
}

/** A connection that the server knows of, with these bytes sent. */
async function connected(t: Test, url: string, text: string): Promise<Wire> {
  const wire = Wire.to(Number(new URL(url).port));
  t.teardown(() => wire.leave());
  await new Promise((resolve) => wire.socket.once('connect', resolve));
  if (text !== '') await new Promise((resolve) => wire.socket.write(text, resolve));
  return wire;
}
