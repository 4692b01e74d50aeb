import { existsSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import t from 'tap';
import { parseConfig } from '../../src/config/config.ts';
import { importsOf, readSources } from '../helpers/sources.ts';
import { healthCommandOf, type Instruction, readDockerfile, settingOf, textsOf } from './dockerfile.ts';
import { isCommand } from './gateway-file.ts';

interface Package {
  readonly bin: { readonly tollgate: string };
  readonly engines: { readonly node: string };
  readonly dependencies: Readonly<Record<string, string>>;
}

const image = readDockerfile();
const [build = [], run = []] = image.stages;
const { bin, engines, dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as Package;
const smallest = 'upstreams: { api: http://127.0.0.1:4000 }\nroutes: [{ path: /, upstream: api }]';
const { config } = parseConfig(smallest, { file: 'gateway.yaml', env: {} });
/** The files of the checkout that a stage copies. */
const copiedBy = (stage: readonly Instruction[]) =>
  textsOf(stage, 'COPY').flatMap((text) => (text.startsWith('--from=') ? [] : text.split(' ').slice(0, -1)));

t.test('the image is built and runs on one base, with a Node that is supported', async (t) => {
  t.equal(image.stages.length, 2);
  for (const [from] of image.stages) t.match(from?.text, /^\$\{BASE_IMAGE\}/);
  t.same(
    image.preamble.map(({ keyword }) => keyword),
    ['ARG'],
  );
  const [, major] = /^BASE_IMAGE=.*\/node:(\d+)-/.exec(image.preamble[0]?.text ?? '') ?? [];
  t.match(engines.node, new RegExp(`(?:\\^|>=)${major}\\.`));
});

t.test('the image listens where a configuration that says nothing does', async (t) => {
  t.equal(settingOf(image, 'EXPOSE'), `${config.server.port} ${config.ops.port}`);
});

t.test('all that the gateway writes goes to the volume', async (t) => {
  const volume = settingOf(image, 'VOLUME');
  t.equal(posix.resolve(settingOf(image, 'WORKDIR'), config.dataDir), volume);
  t.equal(image.env['TMPDIR'], volume);
});

t.test('the image runs as a number that is not root and owns the volume', async (t) => {
  const [, uid = '', gid] = /^(\d+):(\d+)$/.exec(settingOf(image, 'USER')) ?? [];
  t.ok(Number(uid) > 0);
  const made = `install --directory --mode=0700 --owner=${uid} --group=${gid} ${settingOf(image, 'VOLUME')}`;
  t.ok(settingOf(image, 'RUN').includes(made), 'the volume is made so that a new one belongs to that user');
});

t.test('the image runs the command line without a shell, and asks it for its health', async (t) => {
  t.equal(settingOf(image, 'ENTRYPOINT'), '["tollgate"]');
  t.ok(
    settingOf(image, 'RUN').includes(`ln -s /app/${bin.tollgate} /usr/local/bin/tollgate`),
    'tollgate is the program',
  );
  isCommand(t, JSON.parse(settingOf(image, 'CMD')) as string[]);
  const [program, ...words] = healthCommandOf(image);
  t.equal(program, 'tollgate');
  isCommand(t, words);
});

t.test('the image has what runs, and nothing that builds or tests', async (t) => {
  t.same(
    textsOf(run, 'COPY').filter((text) => text.startsWith('--from=')),
    ['node_modules', 'dist/migrations', 'dist/src'].map((path) => `--from=build /app/${path} /app/${path}`),
  );
  t.same(copiedBy(run), ['package.json', 'LICENSE', 'config/openapi.json', 'public']);
  t.ok(textsOf(run, 'COPY').includes('config/openapi.json /app/config/'), 'where src/api/openapi.ts looks for it');
  t.notMatch(textsOf(run, 'RUN').join(), /apt-get|npm|npx/);
  t.match(textsOf(build, 'RUN').at(-1), /npm prune --omit=dev/);
});

t.test('what runs in the image needs no file and no package that is not there', async (t) => {
  const imports = readSources(['src', 'migrations'])
    .filter(({ path }) => !path.endsWith('.d.ts'))
    .flatMap((source) => importsOf(source).map((each) => ({ ...each, path: source.path })))
    .filter(({ target, isType }) => !isType && !target.startsWith('node:'));
  const missing = imports.filter(({ target }) => !(target in dependencies) && !/^(?:src|migrations)\//.test(target));
  t.ok(
    imports.some(({ target }) => target === 'fastify'),
    'imports are found',
  );
  t.same(
    missing.map(({ path, target, names }) => [path, target, ...names]),
    // The demo goes without it where it is not there: test/cli/demo-provider.test.ts.
    [['src/cli/demo-provider.ts', 'oidc-provider', '*']],
  );
});

t.test('the README runs the image with its port, its volume and its configuration in place', async (t) => {
  const [, options = ''] = /docker run ([\s\S]+?) tollgate\n/.exec(readFileSync('README.md', 'utf8')) ?? [];
  const given = (name: string) => [...options.matchAll(new RegExp(`--${name} (\\S+)`, 'g'))].map(([, value]) => value);
  t.same(given('publish'), [`${config.server.port}:${config.server.port}`]);
  t.same(given('volume'), [
    `tollgate:${settingOf(image, 'VOLUME')}`,
    `"$PWD/gateway.yaml:${image.env['TOLLGATE_CONFIG']}:ro"`,
  ]);
});

t.test('the build is given the files that it copies, and no others', async (t) => {
  const [all, ...allowed] = readFileSync('.dockerignore', 'utf8').split('\n').filter(isRule);
  const copied = [...new Set([...copiedBy(build), ...copiedBy(run)])].sort();
  t.equal(all, '*', 'everything is kept out first');
  t.same(
    allowed,
    copied.map((path) => `!${path}`),
  );
  const notKept = readFileSync('.gitignore', 'utf8').split('\n').filter(isRule);
  for (const path of copied) {
    t.ok(existsSync(path), `${path} is there`);
    t.notOk(notKept.includes(`${path}/`), `${path} is part of the checkout`);
  }
});

function isRule(line: string): boolean {
  return line !== '' && !line.startsWith('#');
}
