// What this API looks like, for programs: an OpenAPI document, which `npm run docs` writes. It is of the program and not of what
// this gateway has configured or stored, so that everybody may read it, whatever is down.

import { readFile } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';

/** From dist/src/api, in a checkout as in the image. */
const place = new URL('../../../config/openapi.json', import.meta.url);

/** Answers with the document. It is read when the first one asks. */
export async function openApi(app: FastifyInstance): Promise<void> {
  let document: string | null = null;
  app.get('/_tollgate/openapi.json', async (_request, reply) => {
    document ??= await readFile(place, 'utf8');
    return reply.headers({ 'content-type': 'application/json', 'cache-control': 'public, max-age=300' }).send(document);
  });
}
