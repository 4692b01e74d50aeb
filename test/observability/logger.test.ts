import { PassThrough } from 'node:stream';
import t from 'tap';
import { createLogger } from '../../src/observability/logger.ts';

const key = `tg_${'a'.repeat(38)}`;

t.test('a credential reaches the log neither as a field nor inside a text, in either format', async (t) => {
  for (const format of ['json', 'pretty'] as const) {
    const stream = new PassThrough();
    const log = createLogger({ level: 'info', format }, stream);
    const headers = { Authorization: `Bearer ${key}`, cookie: 'session=1', 'x-api-key': key, accept: '*/*' };
    log.info({ headers, url: `/x?k=${key}`, err: new Error(`no ${key}`) }, `a key ${key}`);
    const text = String(stream.read());
    t.match(text, '*/*');
    t.match(text, 'tg_[redacted]');
    t.notMatch(text, key);
    t.notMatch(text, 'session=1');
  }
});

t.test('a request that could not be parsed is not in the log, its error is', async (t) => {
  const lines: string[] = [];
  const log = createLogger({ level: 'trace', format: 'json' }, { write: (line) => void lines.push(line) });
  const rawPacket = Buffer.from(`GET / HTTP/1.1\r\nAuthorization: Bearer ${key}\r\nBad Field: x`);
  log.trace(
    { err: Object.assign(new Error('Invalid header token'), { code: 'HPE_INVALID', rawPacket }) },
    'client error',
  );
  const { err } = JSON.parse(lines[0] ?? '');
  t.match(err, { type: 'Error', message: 'Invalid header token', code: 'HPE_INVALID', stack: /./ });
  t.notOk('rawPacket' in err);
});

t.test('what is below the level is not logged', async (t) => {
  const lines: string[] = [];
  const log = createLogger({ level: 'warn', format: 'json' }, { write: (line) => void lines.push(line) });
  log.info('quiet');
  log.warn('loud');
  t.equal(lines.length, 1);
  t.match(JSON.parse(lines[0] ?? ''), { level: 'warn', msg: 'loud', time: /^\d{4}-\d\d-\d\dT.*Z$/ });
});
