import { execFile } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import t from 'tap';
import { pathWithoutCredentials, withoutCredentials } from '../../src/observability/credentials.ts';
import { createLogger } from '../../src/observability/logger.ts';

const key = `tg_${'a'.repeat(38)}`;

t.test('a credential reaches the log neither as a field nor inside a text, in either format', async (t) => {
  for (const format of ['json', 'pretty'] as const) {
    const stream = new PassThrough();
    const log = await createLogger({ level: 'info', format }, stream);
    const headers = { Authorization: `Bearer ${key}`, cookie: 'session=1', 'x-api-key': key, accept: '*/*' };
    log.info({ headers, url: `/x?k=${key}`, err: new Error(`no ${key}`) }, `a key ${key}`);
    const text = String(stream.read());
    t.match(text, '*/*');
    t.match(text, 'tg_[redacted]');
    t.notMatch(text, key);
    t.notMatch(text, 'session=1');
  }
});

t.test('a key is cut wherever it begins, also behind what looks like one', async (t) => {
  const lookAlike = `tg_${'b'.repeat(36)}`;
  for (const before of ['', 'x', '/', 'tg_', lookAlike, `${lookAlike}tg_b`, `${key}_`, `${key}tg_`, '%20', 'a_b-']) {
    for (const after of ['', 'x', '/', '_', '.', `${lookAlike}`]) {
      // Without its prefix it is no secret less.
      t.notMatch(withoutCredentials(`${before}${key}${after}`), key.slice('tg_'.length), `${before}…${after}`);
    }
  }
  for (const text of [`tg_${'a'.repeat(37)}`, 'tg_[redacted]', `TG_${'a'.repeat(38)}`, 'tg_ab tg_cd', '']) {
    t.equal(withoutCredentials(text), text);
  }
});

t.test('a JWT is cut by its shape, what stands around it stays', async (t) => {
  const jwt = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1In0.c2lnbmF0dXJl_-0';
  const unsigned = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1In0.';
  const encrypted = 'eyJhbGciOiJkaXIifQ..aXY.dGV4dA.dGFn';
  for (const token of [jwt, unsigned, encrypted]) {
    t.equal(withoutCredentials(token), '[redacted token]');
    t.equal(withoutCredentials(`{"path":"/a/${token}/b"}`), '{"path":"/a/[redacted token]/b"}');
    t.equal(withoutCredentials(`/Bearer%20${token}/v1.2.3`), '/Bearer%20[redacted token]/v1.2.3');
    t.equal(withoutCredentials(`a.b.${token}`), 'a.b.[redacted token]');
    t.equal(withoutCredentials(`${token} ${key} ${token}`), '[redacted token] tg_[redacted] [redacted token]');
  }
  for (const text of ['eyJ', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1In0', 'a.b.c', 'a.eyJ.b', 'eyJ a.b.c', '/eyJhbGci/x.y']) {
    t.equal(withoutCredentials(text), text);
  }
});

t.test(
  'a credential in a path is cut whichever of its characters are encoded, other paths are logged as sent',
  async (t) => {
    const encode = (text: string) => text.replaceAll(/./g, (c) => `%${c.charCodeAt(0).toString(16)}`);
    const jwt = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1In0.c2ln';
    for (const sent of [encode(key), key.replace('_', '%5f'), key.replace('t', '%2574'), encode(key).toUpperCase()]) {
      t.equal(pathWithoutCredentials(`/a%2Fb/${sent}/c`), '/a%2Fb/tg_[redacted]/c', sent);
    }
    for (const sent of [encode(jwt), jwt.replace('.', '%2E'), jwt.replaceAll('.', '%252e')]) {
      t.equal(pathWithoutCredentials(`/${sent}`), '/[redacted token]', sent);
    }
    t.equal(
      pathWithoutCredentials(`/%0a%22${encode(key)}%1b`),
      '/%0a%22tg_[redacted]%1b',
      'what would spoil a line stays',
    );
    t.equal(
      pathWithoutCredentials(`/${encode(key)}/${jwt.replaceAll('.', '%252e')}`),
      '/tg_[redacted]/[redacted token]',
    );
    for (const path of ['/', '/a%41%2e', '/caf%E9', '/%', '/%zz', '/%25%32%35', '/tg_%61']) {
      t.equal(pathWithoutCredentials(path), path);
    }
  },
);

t.test('cutting takes linear time, whatever the text', async (t) => {
  const begin = performance.now();
  for (const part of ['eyJ', 'tg_', 'eyJ.', '.', 'a-', 'eyJ..', '%25', '%65yJ']) {
    const text = part.repeat(Math.ceil(1_000_000 / part.length));
    withoutCredentials(`eyJ ${text}`);
    pathWithoutCredentials(text);
  }
  t.ok(performance.now() - begin < 5_000);
});

t.test('a request that could not be parsed is not in the log, its error is', async (t) => {
  const lines: string[] = [];
  const log = await createLogger({ level: 'trace', format: 'json' }, { write: (line) => void lines.push(line) });
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
  const log = await createLogger({ level: 'warn', format: 'json' }, { write: (line) => void lines.push(line) });
  log.info('quiet');
  log.warn('loud');
  t.equal(lines.length, 1);
  t.match(JSON.parse(lines[0] ?? ''), { level: 'warn', msg: 'loud', time: /^\d{4}-\d\d-\d\dT.*Z$/ });
});

for (const { end, lines, script } of [
  { end: 'its end', lines: 300, script: '' },
  // So few that none are under way to the file when the end comes.
  { end: 'a sudden end', lines: 100, script: 'process.exit();' },
]) {
  t.test(`the last lines of a process are written at ${end}, in order`, async (t) => {
    const module = new URL('../../src/observability/logger.js', import.meta.url);
    const logging = `const { createLogger } = await import('${module}');
      const log = await createLogger({ level: 'info', format: 'json' }, 1);
      for (let i = 0; i < ${lines}; i++) log.info({ i }, 'last words');
      ${script}`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', logging]);
    const told = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).i);
    t.same(told, [...Array(lines).keys()]);
  });
}
