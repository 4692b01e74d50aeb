// The rules of the house, as ARCHITECTURE.md gives them: which part may import which, who knows a library, who makes
// things, and what a file looks like. A violation names the file, the line, the rule and the remedy.

import { posix } from 'node:path';
import { type Import, importsOf, lineAt, type Source } from './sources.ts';

const edge = ['identity', 'gateway', 'api', 'portal', 'observability', 'error-handler'];

/** The floors of the house, highest first. A part imports from its own floor or a lower one. */
const floors: readonly (readonly string[])[] = [
  ['test'],
  ['scripts'],
  ['cli'],
  // The proof runs whole gateways as processes, and stands below the command that runs it.
  ['verify', 'workers'],
  ['app'],
  edge,
  ['pricing', 'meter'],
  ['journal', 'fallback'],
  ['store', 'migrations'],
  ['config', 'errors', 'clock', 'ids', 'crowd', 'schema'],
];

interface Library {
  readonly isOne: (name: string) => boolean;
  readonly parts: readonly string[];
  /** Whether it is imported for its types alone. */
  readonly areTypes?: true;
  readonly rule: string;
  readonly remedy: string;
}

/** Libraries that only some parts know. */
const libraries: readonly Library[] = [
  {
    isOne: (name) => /^(?:fastify|fastify-plugin|undici|@fastify\/.+)$/.test(name),
    parts: ['scripts', 'app', ...edge],
    rule: 'only the edge and the app know the HTTP library',
    remedy: 'Let the edge hand over plain facts.',
  },
  {
    isOne: (name) => /^(?:kysely|pg|better-sqlite3)$/.test(name),
    parts: ['scripts', 'store', 'migrations'],
    rule: 'only the store knows the database libraries',
    remedy: 'Add a function to src/store that says what is wanted.',
  },
  {
    isOne: (name) => name === 'typebox',
    parts: ['schema'],
    areTypes: true,
    rule: 'only src/schema knows TypeBox, and only its types',
    remedy: 'Make schemas with src/schema/type.ts.',
  },
  {
    isOne: (name) => name === 'ajv',
    parts: ['schema'],
    rule: 'only src/schema knows Ajv',
    remedy: 'Check values with src/schema/check.ts.',
  },
];

/** The functions that make a thing which has to be closed, with the files where they are at home. */
const makers: ReadonlyMap<string, string> = new Map([
  ['openDatabase', 'src/store/database.ts'],
  ['openStoreDoor', 'src/store/sync/door.ts'],
  ['openMeter', 'src/meter/open-meter.ts'],
  ['createLogger', 'src/observability/logger.ts'],
  ['startGateway', 'src/app.ts'],
]);
const constructors = ['scripts', 'cli', 'verify', 'workers', 'app'];

const linesMax = 299;
const barrelFault = 'there are no barrels. Import from the file that makes the thing.';

/** Every violation among the sources of src, scripts and migrations, one line each. */
export function violationsOf(sources: readonly Source[]): string[] {
  const files = sources.map((source) => ({ source, imports: importsOf(source) }));
  // An arrow that is wrong already makes no circles: it would blame every right one around it.
  const arrows = files.flatMap(({ source: { path }, imports }) =>
    imports.filter((each) => arrowFault(path, each) === null).map(({ target }) => [path, target]),
  );
  const isLeadingTo = reachOf(arrows);
  return files.flatMap(({ source, imports }) => [
    ...shapeViolations(source),
    ...imports.flatMap((each) =>
      [arrowFault, libraryFault, makerFault, cycleFault].flatMap((faultOf) => {
        const fault = faultOf(source.path, each, isLeadingTo);
        return fault === null ? [] : [`${source.path}:${each.line}: ${fault}`];
      }),
    ),
  ]);
}

type Reach = (from: string, to: string) => boolean;

function arrowFault(path: string, { target }: Import): string | null {
  const [from, to] = [partOf(path), partOf(target)];
  if (from === null || to === null || from === to) return null;
  const [fromFloor, toFloor] = [floorOf(from), floorOf(to)];
  // Whoever has no floor is told so by the shape of its own file.
  if (toFloor !== -1 && toFloor < fromFloor) {
    return `arrows point down, and ${from} → ${to} points up. Let the upper part hand over what is needed.`;
  }
  if (edge.includes(from) && edge.includes(to)) {
    return `parts of the edge do not import each other (${from} → ${to}). Let src/app.ts hand over what is needed.`;
  }
  return null;
}

function libraryFault(path: string, { target, isType }: Import): string | null {
  const library = libraries.find(({ isOne }) => isOne(target));
  if (library === undefined) return null;
  if (library.parts.includes(partOf(path) ?? '') && (isType || library.areTypes !== true)) return null;
  return `${library.rule}, and this is ${target}. ${library.remedy}`;
}

function makerFault(path: string, { target, names }: Import): string | null {
  if (constructors.includes(partOf(path) ?? '')) return null;
  for (const [maker, home] of makers) {
    if (target !== home || !(names.includes(maker) || names.includes('*'))) continue;
    return `only cli, verify, workers and app construct things, and this can call ${maker}. Take what it makes as an option.`;
  }
  return null;
}

function cycleFault(path: string, { target }: Import, isLeadingTo: Reach): string | null {
  if (partOf(target) === null) return null;
  const [from, to] = [folderOf(path), folderOf(target)];
  if (from === to || !isLeadingTo(to, from)) return null;
  return `folders do not import each other in a circle, and ${to} leads back to ${from}. Move what both need below them.`;
}

function shapeViolations({ path, text }: Source): string[] {
  const part = partOf(path) ?? path;
  const name = posix.basename(path);
  const lines = text.split('\n').length - 1;
  const reexport = /^export (?:type )?\*/m.exec(text)?.index ?? null;
  const isKebab = path.split('/').every((word) => /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.d)?(?:\.tsx?)?$/.test(word));
  const checks: [isBroken: boolean, line: number, fault: string][] = [
    [
      floorOf(part) === -1,
      1,
      `${part} is no part of the house. Move the file, or give the part a floor in house-rules.ts.`,
    ],
    [/^index\.tsx?$/.test(name), 1, barrelFault],
    [reexport !== null, lineAt(text, reexport ?? 0), barrelFault],
    [/^(?:utils|types)\.ts$/.test(name), 1, `there is no ${name}. Put each thing beside its maker.`],
    [!isKebab && part !== 'migrations', 1, 'file names are in kebab-case. Rename it.'],
    [path.startsWith('src/') && lines > linesMax, lines, `a file has at most ${linesMax} lines. Split it.`],
    [!/^(?:#!.*\n)?\/[/*]/.test(text), 1, 'a file opens with a paragraph on what it owns. Write that comment.'],
  ];
  return checks.flatMap(([isBroken, line, fault]) => (isBroken ? [`${path}:${line}: ${fault}`] : []));
}

/** `src/meter/sync.ts` and `src/pricing.ts` are of the parts `meter` and `pricing`; null for a package. */
function partOf(path: string): string | null {
  const inSrc = /^src\/([^/]+?)(?:\.tsx?)?(?:\/|$)/.exec(path);
  return inSrc?.[1] ?? /^(test|scripts|migrations)\//.exec(path)?.[1] ?? null;
}

function floorOf(part: string): number {
  return floors.findIndex((parts) => parts.includes(part));
}

/**
 * A file that lies in src or scripts itself counts as a folder: it is a part of its own. The migrations belong to the
 * store, which runs them and lends them its knowledge of the dialects.
 */
function folderOf(path: string): string {
  const folder = posix.dirname(path);
  if (folder === 'migrations') return 'src/store';
  return folder === 'src' || folder === 'scripts' ? path : folder;
}

/** Whether one folder imports another, be it through others. */
function reachOf(arrows: readonly (readonly string[])[]): Reach {
  const next = new Map<string, Set<string>>();
  for (const [from = '', to = ''] of arrows) {
    if (partOf(to) === null) continue;
    const targets = next.get(folderOf(from)) ?? new Set();
    next.set(folderOf(from), targets.add(folderOf(to)));
  }
  return (from, to) => {
    const seen = new Set([from]);
    for (const folder of seen) for (const target of next.get(folder) ?? []) seen.add(target);
    return seen.has(to);
  };
}

/** What is loaded with a file before any of it runs: the files that it imports, their imports, and the packages. */
export function loadedWith(path: string, sources: readonly Source[]): Set<string> {
  const importsIn = new Map(sources.map((source) => [source.path, importsOf(source)]));
  const loaded = new Set([path]);
  for (const file of loaded) {
    for (const { target, isType, isLazy } of importsIn.get(file) ?? []) if (!isType && !isLazy) loaded.add(target);
  }
  return loaded;
}
