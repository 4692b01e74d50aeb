// What the OpenAPI document says of each operation beyond its schemas: how it is called in programs, what it does, and how
// it may be refused apart from what holds for all of its kind.

import type { ErrorCode } from '../src/errors.ts';

export interface OperationWords {
  /** How clients that are made from the document call it. */
  readonly id: string;
  readonly summary: string;
  /** Codes of its own. */
  readonly refusals?: readonly ErrorCode[];
}

const api = '/_tollgate/api';
const user = `${api}/admin/users/{id}`;

/** By method and path. */
export const operations: Readonly<Record<string, OperationWords>> = {
  [`GET ${api}/session`]: { id: 'getSession', summary: 'Who has signed in' },
  [`GET ${api}/credits`]: { id: 'getCredits', summary: 'The balance, and what of it new calls may take' },
  [`GET ${api}/ledger`]: { id: 'listLedger', summary: 'What happened to the credits, newest first, by pages' },
  [`GET ${api}/ledger/{entryId}`]: {
    id: 'getLedgerEntry',
    summary: 'One entry of the ledger',
    refusals: ['TG_ENTRY_NOT_FOUND'],
  },
  [`GET ${api}/usage`]: { id: 'getUsage', summary: 'Calls and credits by day or hour' },
  [`GET ${api}/keys`]: { id: 'listKeys', summary: 'API keys, the revoked ones too' },
  [`POST ${api}/keys`]: {
    id: 'createKey',
    summary: 'Makes an API key and shows it once',
    refusals: ['TG_KEYS_TOO_MANY'],
  },
  [`POST ${api}/keys/{keyId}/rotate`]: {
    id: 'rotateKey',
    summary: 'Replaces an API key and shows the new one once',
    refusals: ['TG_KEY_NOT_FOUND'],
  },
  [`DELETE ${api}/keys/{keyId}`]: { id: 'revokeKey', summary: 'Revokes an API key', refusals: ['TG_KEY_NOT_FOUND'] },
  'GET /_tollgate/auth/login/{provider}': {
    id: 'beginSignIn',
    summary: 'Leads a browser to a sign-in provider',
    refusals: ['TG_ROUTE_NOT_FOUND', 'TG_PROVIDER_UNAVAILABLE'],
  },
  'GET /_tollgate/auth/callback/{provider}': {
    id: 'finishSignIn',
    summary: 'Where a provider sends the browser back to, which then has a session',
    refusals: [
      'TG_ROUTE_NOT_FOUND',
      'TG_SIGN_IN_FAILED',
      'TG_SIGN_IN_NOT_ALLOWED',
      'TG_USER_BLOCKED',
      'TG_PROVIDER_UNAVAILABLE',
    ],
  },
  'POST /_tollgate/auth/logout': {
    id: 'signOut',
    summary: 'Ends the session, or every session of the person',
    refusals: ['TG_AUTH_MISSING'],
  },
  [`GET ${api}/admin/status`]: { id: 'getStatus', summary: 'How the gateway stands, also while the database is down' },
  [`GET ${api}/admin/users`]: { id: 'listUsers', summary: 'Users, by pages' },
  [`POST ${api}/admin/users`]: {
    id: 'createUser',
    summary: 'Makes a user with the credits of its plan',
    refusals: ['TG_EMAIL_TAKEN'],
  },
  [`GET ${user}`]: { id: 'getUser', summary: 'One user' },
  [`PATCH ${user}`]: { id: 'changeUser', summary: 'Puts a user on another plan, blocks it or lets it in again' },
  [`POST ${user}/credits`]: {
    id: 'moveCredits',
    summary: 'Adds, takes or sets credits',
    refusals: [
      'TG_BALANCE_TOO_LOW',
      'TG_BALANCE_CHANGED',
      'TG_IDEMPOTENCY_KEY_BUSY',
      'TG_BALANCE_OUT_OF_RANGE',
      'TG_IDEMPOTENCY_KEY_USED',
      'TG_CREDITS_RESERVED',
    ],
  },
  [`GET ${user}/keys`]: { id: 'listUserKeys', summary: 'API keys of a user, the revoked ones too' },
  [`POST ${user}/keys`]: {
    id: 'createUserKey',
    summary: 'Makes an API key for a user and shows it once',
    refusals: ['TG_KEYS_TOO_MANY'],
  },
  [`POST ${user}/keys/{keyId}/rotate`]: {
    id: 'rotateUserKey',
    summary: 'Replaces an API key of a user and shows the new one once',
    refusals: ['TG_KEY_NOT_FOUND'],
  },
  [`DELETE ${user}/keys/{keyId}`]: {
    id: 'revokeUserKey',
    summary: 'Revokes an API key of a user',
    refusals: ['TG_KEY_NOT_FOUND'],
  },
  [`GET ${user}/ledger`]: {
    id: 'listUserLedger',
    summary: 'What happened to the credits of a user, and who moved them',
  },
  [`GET ${user}/ledger/{entryId}`]: {
    id: 'getUserLedgerEntry',
    summary: "One entry of a user's ledger",
    refusals: ['TG_ENTRY_NOT_FOUND'],
  },
  [`GET ${user}/usage`]: { id: 'getUserUsage', summary: 'Calls and credits of a user by day or hour' },
  [`GET ${api}/admin/usage`]: {
    id: 'getTotals',
    summary: 'Calls and credits of everybody by route, user, day or hour',
  },
};

/** What stands for a part of a path. */
export const pathParameters: Readonly<Record<string, string>> = {
  id: 'The id of a user.',
  keyId: 'The id of an API key, which is not the key itself.',
  entryId: 'The id of an entry of the ledger.',
  provider: 'A name below `auth.providers`.',
};
