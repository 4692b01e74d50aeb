// People's own API keys, below `/_tollgate/api/keys`. Making, replacing and revoking them takes a session: a key with a limit,
// or a token with few scopes, that could make keys would be a way around both.

import type { FastifyInstance } from 'fastify';
import { parseDuration } from '../config/quantities.ts';
import { TollgateError } from '../errors.ts';
import type { Caller } from '../meter/meter.ts';
import { type Static, Type } from '../schema/type.ts';
import { type Db, transact } from '../store/database.ts';
import {
  type ApiKey,
  createKeyWithin,
  type KeyDigest,
  listKeys,
  type OwnKey,
  revokeOwnKey,
  rotateOwnKey,
} from '../store/keys.ts';
import { Refusal } from '../store/refusal.ts';

export interface KeysOptions {
  readonly db: Db;
  /** Makes a key: `key` is shown once, the rest is kept. */
  readonly generateKey: () => KeyDigest & { readonly key: string };
}

/** Good keys of one user. */
const keysOfUserMax = 100;

const text = Type.Union([Type.String(), Type.Null()]);
const credits = Type.Integer({ minimum: 0 });
const facts = {
  id: Type.String(),
  name: Type.String(),
  hint: Type.String({ description: 'How the key begins.' }),
  limit: Type.Union([credits, Type.Null()], { description: 'What all calls with it together may cost.' }),
  spent: credits,
  expiresAt: text,
  revokedAt: text,
  previousExpiresAt: Type.Union([Type.String(), Type.Null()], {
    description: 'Until when the key before the last rotation is good.',
  }),
  lastUsedAt: text,
  createdAt: Type.String(),
};
const shown = Type.Object(facts);
const made = Type.Object({ key: Type.String({ description: 'The key itself, this once.' }), ...facts });

/** Answers people about their keys. */
export async function keysApi(app: FastifyInstance, options: KeysOptions): Promise<void> {
  list(app, options);
  create(app, options);
  rotate(app, options);
  revoke(app, options);
}

function list(app: FastifyInstance, { db }: KeysOptions): void {
  app.get('/_tollgate/api/keys', {
    config: { needsCaller: 'any' },
    schema: { response: { 200: Type.Object({ keys: Type.Array(shown) }) } },
    handler: async ({ user }) => ({ keys: (await listKeys(db, idOf(user))).map(withoutOwner) }),
  });
}

const terms = Type.Object(
  {
    // Some text on one line, as on the command line.
    name: Type.String({ default: 'key', maxLength: 64, pattern: '^(?=.*\\S)[^\\p{Cc}\\p{Cs}]+$' }),
    limit: Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }), Type.Null()])),
    expires: Type.Optional(
      Type.String({
        description: 'How long it is good, such as `90d`. For good when absent.',
        pattern: '^[1-9]\\d{0,5}(s|m|h|d)$',
      }),
    ),
  },
  { additionalProperties: false },
);

function create(app: FastifyInstance, { db, generateKey }: KeysOptions): void {
  app.post<{ Body: Static<typeof terms> }>('/_tollgate/api/keys', {
    config: { needsCaller: 'session' },
    schema: { body: terms, response: { 201: made } },
    handler: async ({ user, body: { name, limit = null, expires } }, reply) => {
      const userId = idOf(user);
      const generated = generateKey();
      const expiresAt = expires === undefined ? null : new Date(Date.now() + parseDuration(expires)).toISOString();
      const wanted = { userId, name, limit, expiresAt };
      const key = await transact(db, (trx) => createKeyWithin(trx, wanted, generated, keysOfUserMax));
      if (key === null) throw new TollgateError('TG_KEYS_TOO_MANY');
      return reply.code(201).send({ key: generated.key, ...withoutOwner(key) });
    },
  });
}

const rotation = Type.Object(
  {
    overlap: Type.String({
      description: 'How long the old key is good beside the new one.',
      pattern: '^(0|[1-9]\\d{0,5}(s|m|h|d))$',
      default: '0',
    }),
  },
  { additionalProperties: false },
);

function rotate(app: FastifyInstance, { db, generateKey }: KeysOptions): void {
  app.post<{ Params: { id: string }; Body: Static<typeof rotation> }>('/_tollgate/api/keys/:id/rotate', {
    config: { needsCaller: 'session' },
    schema: { body: rotation, response: { 200: made } },
    handler: async ({ user, params, body }) => {
      const own = ownKey(user, params);
      const generated = generateKey();
      const overlapMs = parseDuration(body.overlap);
      const rotated = transact(db, (trx) => rotateOwnKey(trx, own, generated, overlapMs));
      return { key: generated.key, ...withoutOwner(await rotated.catch(notFound)) };
    },
  });
}

function revoke(app: FastifyInstance, { db }: KeysOptions): void {
  app.delete<{ Params: { id: string } }>('/_tollgate/api/keys/:id', {
    config: { needsCaller: 'session' },
    handler: async ({ user, params }, reply) => {
      const own = ownKey(user, params);
      const revoked = transact(db, (trx) => revokeOwnKey(trx, own));
      await revoked.catch(notFound);
      return reply.code(204).send();
    },
  });
}

/** PostgreSQL takes no NUL in a text: what can be no id is not asked for. */
function ownKey(user: Caller | null, { id }: { id: string }): OwnKey {
  if (!/^\w+$/.test(id)) throw new TollgateError('TG_KEY_NOT_FOUND');
  return { userId: idOf(user), id };
}

/** Of somebody else's key nothing is told, not even that it is there. */
function notFound(error: unknown): never {
  throw error instanceof Refusal ? new TollgateError('TG_KEY_NOT_FOUND', {}, error) : error;
}

function withoutOwner({ userId: _, ...key }: ApiKey) {
  return key;
}

function idOf(user: Caller | null): string {
  if (user === null) throw new Error('nobody was identified');
  return user.userId;
}
