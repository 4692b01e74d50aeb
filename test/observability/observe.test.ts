// What a gateway logs of requests with credentials where none belong.

import t from 'tap';
import { generateKey } from '../../src/identity/api-keys.ts';
import { noteCredential } from '../helpers/evidence.ts';
import { startTestGateway } from '../helpers/gateways.ts';
import { until } from '../helpers/until.ts';

t.test('credentials in a path or a request id are not in the line of the request', async (t) => {
  const { call, log, upstream } = await startTestGateway(t, 'sqlite', '  - { path: /, upstream: api, auth: none }');
  const key = noteCredential(generateKey().key);
  const jwt = noteCredential('eyJhbGciOiJub25lIn0.eyJzdWIiOiJvYnNlcnZlZCJ9.c2lnbmF0dXJl');
  const paths = {
    [`/a/${key}`]: '/a/tg_[redacted]',
    [`/a%2fb/${key.replace('_', '%5F')}`]: '/a%2fb/tg_[redacted]',
    [`/a/${jwt}/b`]: '/a/[redacted token]/b',
    '/caf%E9/%74g_': '/caf%E9/%74g_',
  };
  for (const [sent, logged] of Object.entries(paths)) {
    await call(null, sent, { headers: { 'x-request-id': jwt } });
    const line = await until(
      () => log.find(({ msg, path }) => msg === 'request' && path === logged),
      (line) => line !== undefined,
    );
    t.match(line, { requestId: '[redacted token]' }, sent);
  }
  t.same(
    upstream.seen.map(({ url }) => url),
    Object.keys(paths),
    'the upstream gets them as they were sent',
  );
});
