// The files of the portal: style, script and icon, as they lie in the folder `public`. Their addresses hold what is in them,
// so that browsers keep them for good and never have an old one.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';
import { TollgateError } from '../errors.ts';

const types = {
  'portal.css': 'text/css; charset=utf-8',
  'portal.js': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
} as const;

type FileName = keyof typeof types;

interface Assets {
  readonly version: string;
  readonly contents: ReadonlyMap<string, Buffer>;
}

/** From `src/portal` and from `dist/src/portal`. */
const folder = new URL(import.meta.url.endsWith('.ts') ? '../../public/' : '../../../public/', import.meta.url);

let assets: Promise<Assets> | null = null;

/** What the paths of the files begin with, below the portal's own. Read from the disk once. */
export async function assetsPath(): Promise<string> {
  assets ??= read();
  return `/assets/${(await assets).version}`;
}

async function read(): Promise<Assets> {
  const names = Object.keys(types) as FileName[];
  const files = await Promise.all(names.map((name) => readFile(new URL(name, folder))));
  const version = createHash('sha256').update(Buffer.concat(files)).digest('base64url').slice(0, 12);
  return { version, contents: new Map(names.map((name, index) => [name, files[index] as Buffer])) };
}

/**
 * Serves the files. While versions change, a page of one gateway may ask another for its files: those of another version are
 * better than none, and are not kept.
 */
export async function serveAssets(app: FastifyInstance): Promise<void> {
  app.get<{ Params: { version: string; name: string } }>(
    '/_tollgate/assets/:version/:name',
    async ({ params }, reply) => {
      assets ??= read();
      const { version, contents } = await assets;
      const content = contents.get(params.name);
      if (content === undefined) throw new TollgateError('TG_ROUTE_NOT_FOUND');
      const isOfThisVersion = params.version === version;
      reply.header('cache-control', isOfThisVersion ? 'public, max-age=31536000, immutable' : 'no-store');
      reply.header('x-content-type-options', 'nosniff');
      return reply.type(types[params.name as FileName]).send(content);
    },
  );
}
