// Bodies of the gateway's own paths: taken as they were sent, or refused. Fastify's own check would drop members that no
// schema knows and read numbers out of texts, as is right for queries: a misspelt limit would be none.

import type { RouteOptions } from 'fastify';
import type { TSchema } from 'typebox';
import Value from 'typebox/value';

/** For Fastify's hook `onRoute`: bodies with a schema have to fit it as they are. */
export function takeBodiesAsSent(route: RouteOptions): void {
  if (route.schema?.body !== undefined) route.validatorCompiler = compileCheck;
}

function compileCheck({ schema }: { schema: TSchema }) {
  return (sent: unknown) => {
    const value = Value.Default(schema, sent);
    return Value.Check(schema, value) ? { value } : { error: Value.Errors(schema, value) };
  };
}
