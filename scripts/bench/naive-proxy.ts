// A process that meters in the way that comes to mind first, done well: a bare @fastify/http-proxy that asks the database
// for the caller's credits before each call, and deducts after it. One prepared statement each, a pool, the entry in the
// ledger in the same statement as the deduction, on Tollgate's own tables. Many calls pass the check at once, and who
// leaves early pays nothing: that is the way, and not a fault of this program. Arguments: the URLs of upstream and database.

import { createHash } from 'node:crypto';
import httpProxy from '@fastify/http-proxy';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';

declare module 'fastify' {
  interface FastifyRequest {
    payer: Caller | null;
  }
}

interface Caller {
  readonly user: string;
  readonly key: string;
  /** bigint: text on the wire. */
  readonly credits: string;
}

const [, , upstream = '', database = ''] = process.argv;
/** More than pg's ten, fewer than the callers at once: each connection is a process of the database. */
const poolSize = 20;
const cost = 1;
const pool = new pg.Pool({ connectionString: database, max: poolSize });

const check = {
  name: 'check',
  text: `SELECT u.id AS "user", k.id AS "key", u.credits FROM api_keys AS k JOIN users AS u ON u.id = k.user_id
    WHERE k.hash = $1 AND k.revoked_at IS NULL AND u.blocked_at IS NULL`,
};
const deduct = {
  name: 'deduct',
  text: `WITH payer AS (UPDATE users SET credits = credits - $2, posted = posted + 1 WHERE id = $1 RETURNING id)
    INSERT INTO ledger (id, user_id, kind, amount, route, key_id, request_id, status)
    SELECT $3, id, 'charge', -$2::bigint, '/', $4, $5, $6 FROM payer`,
};

const app = fastify();
app.decorateRequest('payer', null);
await app.register(httpProxy, {
  upstream,
  preHandler: admit,
  // The answer waits until it is paid for: without that, nothing would hold back the calls that the database is behind with.
  replyOptions: {
    onResponse: ({ payer, id }, reply, answer) => {
      const { stream, statusCode } = answer as unknown as { stream: NodeJS.ReadableStream; statusCode: number };
      void payFor(payer, id, statusCode).then(() => reply.send(stream));
    },
  },
});
const address = await app.listen({ host: '127.0.0.1', port: 0 });

process.on('message', () => process.send?.(address));
process.on('disconnect', () => process.exit());
process.on(
  'SIGTERM',
  () =>
    void app
      .close()
      .then(() => pool.end())
      .then(() => process.exit()),
);

async function admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
  const key = request.headers.authorization?.replace('Bearer ', '') ?? '';
  const hash = createHash('sha256').update(key).digest('hex');
  const [caller] = (await pool.query<Caller>({ ...check, values: [hash] })).rows;
  if (caller === undefined) return reply.code(401).send();
  if (Number(caller.credits) < cost) return reply.code(402).send();
  request.payer = caller;
  return undefined;
}

/** Deducts what a call of 2xx costs. */
async function payFor(payer: Caller | null, requestId: string, statusCode: number): Promise<void> {
  if (payer === null || statusCode < 200 || statusCode > 299) return;
  await pool.query({ ...deduct, values: [payer.user, cost, uuidv7(), payer.key, requestId, statusCode] });
}
