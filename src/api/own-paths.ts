// What holds for every path of the gateway itself: nothing is kept by caches, nothing waits for a database that is down,
// and bodies are small and taken as they were sent, or refused. Fastify's own check would drop members that no schema knows
// and read numbers out of texts, as is right for queries: a misspelt limit would be none.

import type { FastifyInstance, RouteOptions } from 'fastify';
import { TollgateError } from '../errors.ts';
import { checkOf } from '../schema/check.ts';
import type { TSchema } from '../schema/type.ts';

/** What people and programs send here is short. */
const bodyBytesMax = 4_096;

/** For the scope of the gateway's own paths, before they are registered. All of them are about what is in the store. */
export function prepareOwnPaths(scope: FastifyInstance, isStoreUp: () => boolean): void {
  scope.addHook('onRoute', limitBody);
  scope.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store');
    if (!isStoreUp()) throw new TollgateError('TG_STORE_UNAVAILABLE');
    done();
  });
}

/** Also where no body is wanted: the server takes calls of any length. */
function limitBody(route: RouteOptions): void {
  route.bodyLimit = bodyBytesMax;
  if (route.schema?.body !== undefined) route.validatorCompiler = compileCheck;
}

/** Who sends no body means nothing special. */
function compileCheck({ schema }: { schema: TSchema }) {
  const check = checkOf(schema);
  return (sent: unknown) => check(sent ?? {});
}
