// An upstream over TLS is verified: by the public authorities, or by the one that the configuration names.

import { createServer } from 'node:https';
import t from 'tap';
import { certificateFor } from '../helpers/certificate.ts';
import { call, listen, openGate } from './gate.ts';

const { cert, key } = await certificateFor('localhost');

t.test('an upstream is called only if its certificate can be trusted', async (t) => {
  const server = createServer({ cert, key }, (request, response) => response.end(request.headers.host));
  const url = `https://localhost:${await listen(t, server)}`;
  const address = url.replace('localhost', '127.0.0.1');
  const cases = [
    { name: 'unknown authority', url, tls: { ca: null, insecureSkipVerify: false }, status: 502 },
    { name: 'named authority', url, tls: { ca: cert, insecureSkipVerify: false }, status: 200 },
    { name: 'wrong name', url: address, tls: { ca: cert, insecureSkipVerify: false }, status: 502 },
    { name: 'not verified, on demand', url: address, tls: { ca: null, insecureSkipVerify: true }, status: 200 },
  ];
  for (const { name, url, tls, status } of cases) {
    const gate = await openGate(t, { upstream: url, upstreamOptions: { tls } });
    const answer = await call(gate, '/');
    t.equal(answer.status, status, name);
    t.equal(await gate.settled(), status === 200 ? 1 : 0, name);
  }
});

t.test("the name that is verified is the upstream's, also where it is sent the host of the client", async (t) => {
  const server = createServer({ cert, key }, (request, response) => response.end(request.headers.host));
  const url = `https://localhost:${await listen(t, server)}`;
  const tls = { ca: cert, insecureSkipVerify: false };
  const gate = await openGate(t, { upstream: url, upstreamOptions: { tls, preserveHost: true } });
  const answer = await call(gate, '/', { headers: { host: 'gate.example' } });
  t.equal(answer.body, 'gate.example');
});
