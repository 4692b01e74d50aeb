import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { renderKeyTable } from '../../scripts/config-reference.ts';

const script = resolve('dist/scripts/generate-docs.js');
const files = ['config/gateway.schema.json', 'config/openapi.json', 'docs/configuration.md'];

t.test('the generated files are fresh', async (t) => {
  const { status, stdout } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  t.equal(stdout, '');
  t.equal(status, 0);
});

t.test('a stale file is told by --check, and written without it', async (t) => {
  const cwd = mkdtempSync(join(tmpdir(), 'tollgate-docs-'));
  for (const folder of ['config', 'docs']) mkdirSync(join(cwd, folder));
  cpSync('docs', join(cwd, 'docs'), { recursive: true });
  const stale = readFileSync('docs/configuration.md', 'utf8').replace('| `server.port` |', '| `server.prot` |');
  writeFileSync(join(cwd, 'docs/configuration.md'), stale);

  const { status, stdout } = spawnSync(process.execPath, [script, '--check'], { cwd, encoding: 'utf8' });
  t.equal(status, 1);
  for (const file of files) t.match(stdout, `${file} is stale. Run npm run docs.`);

  execFileSync(process.execPath, [script], { cwd });
  for (const file of files) t.equal(readFileSync(join(cwd, file), 'utf8'), readFileSync(file, 'utf8'));
});

t.test('every key of the table has a meaning', async (t) => {
  const rows = renderKeyTable().split('\n').slice(2);
  t.ok(rows.length > 30);
  for (const row of rows) t.match(row, /^\| `[\w.[\]]+` \| [^|]+ \| [^|]+ \| .+\. \|$/, row);
});
