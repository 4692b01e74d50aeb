// API keys: people's own, below `/_tollgate/api/keys`, and for operators those of any user. Making, replacing and revoking them takes a session: a key with a limit,
// or a token with few scopes, that could make keys would be a way around both.

import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify';
import { parseDuration } from '../config/quantities.ts';
import { TollgateError } from '../errors.ts';
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

/** Whose keys are answered about, and where. */
export interface KeyPlace {
  /** The path of the list. */
  readonly path: string;
  /** How the routes are marked. */
  readonly reading: Marks;
  readonly changing: Marks;
  userOf(request: FastifyRequest): string | Promise<string>;
  /** Hears of each change. */
  readonly whenChanged?: (request: FastifyRequest, what: 'made' | 'replaced' | 'revoked', key: ApiKey) => void;
}

type Marks = { readonly config?: FastifyContextConfig };

/** Answers people about their keys. */
export async function keysApi(app: FastifyInstance, options: KeysOptions): Promise<void> {
  answerAboutKeys(app, options, {
    path: '/_tollgate/api/keys',
    reading: { config: { needsCaller: 'any' } },
    changing: { config: { needsCaller: 'session' } },
    userOf: ({ user }) => {
      if (user === null) throw new Error('nobody was identified');
      return user.userId;
    },
  });
}

/** Lists, makes, replaces and revokes the keys of one user. */
export function answerAboutKeys(app: FastifyInstance, options: KeysOptions, place: KeyPlace): void {
  list(app, options, place);
  create(app, options, place);
  rotate(app, options, place);
  revoke(app, options, place);
}

function list(app: FastifyInstance, { db }: KeysOptions, { path, reading, userOf }: KeyPlace): void {
  app.get(path, {
    ...reading,
    schema: { response: { 200: Type.Object({ keys: Type.Array(shown) }) } },
    handler: async (request) => ({ keys: (await listKeys(db, await userOf(request))).map(withoutOwner) }),
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

function create(app: FastifyInstance, { db, generateKey }: KeysOptions, place: KeyPlace): void {
  const { path, changing, userOf, whenChanged } = place;
  app.post<{ Body: Static<typeof terms> }>(path, {
    ...changing,
    schema: { body: terms, response: { 201: made } },
    handler: async (request, reply) => {
      const { name, limit = null, expires } = request.body;
      const userId = await userOf(request);
      const generated = generateKey();
      const expiresAt = expires === undefined ? null : new Date(Date.now() + parseDuration(expires)).toISOString();
      const wanted = { userId, name, limit, expiresAt };
      const key = await transact(db, (trx) => createKeyWithin(trx, wanted, generated, keysOfUserMax));
      if (key === null) throw new TollgateError('TG_KEYS_TOO_MANY');
      whenChanged?.(request, 'made', key);
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

function rotate(app: FastifyInstance, { db, generateKey }: KeysOptions, place: KeyPlace): void {
  const { path, changing, userOf, whenChanged } = place;
  app.post<{ Params: ByKey; Body: Static<typeof rotation> }>(`${path}/:keyId/rotate`, {
    ...changing,
    schema: { body: rotation, response: { 200: made } },
    handler: async (request) => {
      const own = ownKey(await userOf(request), request.params);
      const generated = generateKey();
      const overlapMs = parseDuration(request.body.overlap);
      const rotated = transact(db, (trx) => rotateOwnKey(trx, own, generated, overlapMs));
      const key = await rotated.catch(notFound);
      whenChanged?.(request, 'replaced', key);
      return { key: generated.key, ...withoutOwner(key) };
    },
  });
}

function revoke(app: FastifyInstance, { db }: KeysOptions, place: KeyPlace): void {
  const { path, changing, userOf, whenChanged } = place;
  app.delete<{ Params: ByKey }>(`${path}/:keyId`, {
    ...changing,
    schema: { response: { 204: Type.Null() } },
    handler: async (request, reply) => {
      const own = ownKey(await userOf(request), request.params);
      const revoked = transact(db, (trx) => revokeOwnKey(trx, own));
      const key = await revoked.catch(notFound);
      whenChanged?.(request, 'revoked', key);
      return reply.code(204).send();
    },
  });
}

interface ByKey {
  keyId: string;
}

/** PostgreSQL takes no NUL in a text: what can be no id is not asked for. */
function ownKey(userId: string, { keyId: id }: ByKey): OwnKey {
  if (!/^\w+$/.test(id)) throw new TollgateError('TG_KEY_NOT_FOUND');
  return { userId, id };
}

/** Of somebody else's key nothing is told, not even that it is there. */
function notFound(error: unknown): never {
  throw error instanceof Refusal ? new TollgateError('TG_KEY_NOT_FOUND', {}, error) : error;
}

function withoutOwner({ userId: _, ...key }: ApiKey) {
  return key;
}
