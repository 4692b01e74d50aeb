import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import t from 'tap';
import { anchorsOf, fencesOf, linksOf, markdownFiles } from './helpers/markdown.ts';

/** Every command of README.md, and the file that runs it: a test, or the step of CI. What takes a container engine is compared. */
const covers: Readonly<Record<string, string>> = {
  'npm ci': '.ci/run',
  'npm test': '.ci/run',
  'npm run demo': 'test/cli/gateway-commands.test.ts',
  'npm run bench': 'test/scripts/bench-smoke.test.ts',
  'npm run bench:growth': 'test/scripts/bench-growth.test.ts',
  'npm run bench:pages': 'test/scripts/bench-pages.test.ts',
  'npm run bench:soak -- --minutes 30': 'test/scripts/bench-soak.test.ts',
  'npm run bench:start': 'test/scripts/bench-start.test.ts',
  'npx tollgate check': 'test/readme.test.ts',
  'npx tollgate users create ada@example.com': 'test/readme.test.ts',
  'npx tollgate keys create ada@example.com': 'test/readme.test.ts',
  'npx tollgate start': 'test/readme.test.ts',
  'curl -H "Authorization: Bearer tg_…" http://127.0.0.1:8080/anything': 'test/readme.test.ts',
  'docker build --tag tollgate .': 'test/packaging/image.test.ts',
  'docker run --read-only --cap-drop ALL --publish 8080:8080 --volume tollgate:/data --volume "$PWD/gateway.yaml:/etc/tollgate/gateway.yaml:ro" tollgate':
    'test/packaging/image.test.ts',
  'npm run backfill -- --all': 'test/readme.test.ts',
  'npx tsx scripts/update-existing-users-credits.ts': 'test/readme.test.ts',
};

t.test('every relative link in the documents leads somewhere', async (t) => {
  t.ok(markdownFiles('.').includes('docs/errors.md'), 'the documents are found');
  t.same(brokenLinks('.'), []);
});

t.test('every command of README.md is run by a test or by CI', async (t) => {
  if (!existsSync('README.md')) return t.fail('there is no README.md');
  const readme = readFileSync('README.md', 'utf8');
  const commands = commandsOf(readme);
  t.ok(commands.length > 0, 'there are commands');
  t.same(
    [...new Set(commands)].sort(),
    Object.keys(covers).sort(),
    'the table of covers lists the commands, and no other',
  );
  const otherShells = fencesOf(readme).filter(({ tag }) => /^(?:|bash|shell|zsh)$/.test(tag));
  t.same(otherShells, [], 'every fence has a tag; that of commands is sh, that of commands with their output console');
});

t.test('the covers of the commands exist', async (t) => {
  for (const [command, cover] of Object.entries(covers)) {
    t.ok(existsSync(cover), `${cover} runs ${command}`);
    if (cover === '.ci/run')
      t.ok(readFileSync(cover, 'utf8').split('\n').includes(command), `${cover} runs ${command}`);
  }
});

t.test('a link to a file, an anchor or a place outside that is not there is told', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'tollgate-links-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'docs'));
  writeFileSync(join(root, 'docs/other.md'), '# One `thing`, and more\n\n## Again\n\n## Again\n');
  const good = [
    '[file](docs/other.md) [same][ref] ![image](<docs/other.md> "title") [folder](docs) <a href="docs/other.md">x</a>',
    '[anchor](docs/other.md#one-thing-and-more) [second](docs/other.md#again-1) [here](#here) [web](https://a.example/b)',
    '`[not](a-link)`',
    '```md\n[nor](this)\n```',
    '[ref]: docs/other.md',
    '# Here',
  ];
  writeFileSync(join(root, 'a.md'), good.join('\n'));
  t.same(brokenLinks(root), []);

  const bad = ['gone.md', 'docs/other.md#gone', '#gone', '../outside.md', '/docs/other.md', 'docs/other.md#again-2'];
  writeFileSync(join(root, 'a.md'), [...bad.map((target) => `[x](${target})`), '[y]: lost.md'].join('\n'));
  t.same(
    brokenLinks(root),
    [...bad, 'lost.md'].map((target) => `a.md → ${target}`),
  );
});

t.test('commands are read one by one, without comments and output, joined lines as one', async (t) => {
  const readme = [
    '```sh\n# First this:\nnpm ci && npm test\n\ncurl -i \\\n  http://x\n```',
    '- In a list:\n  ```sh\n  npm start\n  ```\n  ```console\n  $ npm stop\n  stopped\n  ```',
    '```console\n$ date\nTuesday\n```',
    '```yaml\na: b\n```\n',
  ];
  t.same(commandsOf(readme.join('\n')), ['npm ci', 'npm test', 'curl -i http://x', 'npm start', 'npm stop', 'date']);
});

/** `file → target` of each relative link below the root that leads nowhere. Absolute paths have no place in a checkout. */
function brokenLinks(root: string): string[] {
  return markdownFiles(root).flatMap((file) =>
    linksOf(readFileSync(join(root, file), 'utf8'))
      .filter((target) => !/^[a-z][a-z+.-]*:/i.test(target) && !isThere(root, file, target))
      .map((target) => `${file} → ${target}`),
  );
}

function isThere(root: string, file: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? file : posix.join(posix.dirname(file), decodeURIComponent(path));
  if (path.startsWith('/') || target.startsWith('..') || !existsSync(join(root, target))) return false;
  if (anchor === undefined || !target.endsWith('.md')) return true;
  return anchorsOf(readFileSync(join(root, target), 'utf8')).has(decodeURIComponent(anchor));
}

/** The commands in a document: the lines of `sh` fences, and those with a prompt in `console` fences. */
function commandsOf(markdown: string): string[] {
  return fencesOf(markdown)
    .flatMap(({ tag, code }) => {
      const lines = code
        .replaceAll(/\\\n\s*/g, '')
        .split('\n')
        .map((line) => line.trim());
      if (tag === 'console') return lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
      return tag === 'sh' ? lines : [];
    })
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap((line) => line.split(' && '));
}
