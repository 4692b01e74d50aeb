import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { parseConfig } from '../../src/config/config.ts';
import { substitute } from '../../src/config/substitute.ts';

const files: Record<string, string> = { '/secret': 'line 1\nline 2\n', '/crlf': 'x\r\n', '/two': 'x\n\n' };
const env = { A: 'alpha', EMPTY: '', NESTED: `\${A} $$` };
const sources = {
  env,
  readFile: (path: string) => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error('no'), { code: 'ENOENT' });
    return text;
  },
};

t.test('variables, defaults, files and dollars are replaced once, and nothing else is', async (t) => {
  const cases: [source: string, text: string][] = [
    ['plain', 'plain'],
    [`\${A}`, 'alpha'],
    [`<\${A}\${A}>`, '<alphaalpha>'],
    [`\${EMPTY}`, ''],
    [`\${EMPTY:-d}`, 'd'],
    [`\${UNSET:-d:-e}`, 'd:-e'],
    [`\${UNSET:-}`, ''],
    [`\${A:-d}`, 'alpha'],
    [`\${NESTED}`, `\${A} $$`],
    [`\${UNSET:-$$}`, '$$'],
    ['$$', '$'],
    [`$$\${A}`, '$alpha'],
    [`$$$$\${A}`, '$$alpha'],
    [`$$\{A}`, `$\{A}`],
    ['a$b $', 'a$b $'],
    [`\${file:/secret}`, 'line 1\nline 2'],
    [`\${file:/crlf}`, 'x'],
    [`\${file:/two}`, 'x\n'],
  ];
  for (const [source, text] of cases) {
    t.equal(substitute(source, sources).text, text, source);
    t.same(substitute(source, sources).failures, []);
  }
});

t.test('what cannot be replaced is named, and its value or default never is', async (t) => {
  const failure = (source: string) =>
    substitute(source, sources)
      .failures.map(({ message }) => message)
      .join();
  t.equal(failure(`\${UNSET}`), 'needs the variable UNSET, which is not set');
  t.equal(failure(`\${toString}`), 'needs the variable toString, which is not set');
  t.equal(failure(`\${file:/none}`), 'needs the file /none, which does not exist');
  for (const source of [`\${}`, `\${A`, `\${A B}`, `\${1A}`, `\${A-d}`, `\${file:}`]) {
    t.equal(failure(source), 'has a dollar and brace that begin no variable', source);
  }
  t.equal(substitute(`\${X}\${Y}`, sources).failures.length, 2, 'all of them at once');
});

const small = `upstreams:
  api: http://127.0.0.1:4000
routes:
  - path: /
    upstream: api
`;
const read = (text: string, variables: Record<string, string>) =>
  parseConfig(small + text, { file: 'gateway.yaml', env: variables });

t.test('what was put in becomes what the key takes, quoted or not', async (t) => {
  const text = `    name: \${NAME}
server:
  port: \${PORT}
ops:
  port: "\${PORT}1"
database:
  migrate: '\${MIGRATE}'
log:
  level: \${LEVEL:-warn}
`;
  const { config, variables } = read(text, { NAME: '12345', PORT: '900', MIGRATE: 'false' });
  t.equal(config.routes[0]?.name, '12345', 'a secret of digits stays text');
  t.equal(config.server.port, 900);
  t.equal(config.ops.port, 9001);
  t.equal(config.database.migrate, false);
  t.equal(config.log.level, 'warn');
  t.same(variables, ['LEVEL', 'MIGRATE', 'NAME', 'PORT']);
});

t.test('what was put in and does not fit is an error that names the variable, not the value', async (t) => {
  for (const wrong of ['', 'x', '80.5', '1e3', '0x50', '65536', '9'.repeat(30), ' 80']) {
    t.throws(() => read(`server:\n  port: \${PORT}\n`, { PORT: wrong }), {
      message:
        `gateway.yaml:7:9: server.port has a value that does not fit, from \${PORT}. ` +
        `Set \${PORT} to a port from 0 to 65535 (0 takes a free one), for example 8080.`,
    });
  }
  t.throws(
    () => read(`database:\n  migrate: \${M}\n`, { M: 'yes' }),
    /database\.migrate has a value that does not fit/,
  );
});

t.test('keys are not replaced', async (t) => {
  t.throws(() => read(`\${A}:\n  x: 1\n`, { A: 'server' }), /is not a known key/);
});

t.test('a file is read relative to the working directory, and its last line break is cut', async (t) => {
  const file = join(mkdtempSync(join(tmpdir(), 'tollgate-config-')), 'level');
  writeFileSync(file, 'debug\n');
  const { config, variables } = read(`log:\n  level: \${file:${file}}\n`, {});
  t.equal(config.log.level, 'debug');
  t.same(variables, [`file:${file}`]);
});
