// Every error a caller can see: one flat table of code, status and public message, and the one class that carries
// them. Grouped by whose fault it is, so that an operator reads the blame from the code. The documentation of these
// codes (docs/errors.md) is compared with this table by a test, both ways.

/** The table: code → HTTP status, public message. A message never names an address, a key or another user. */
export const errorTable = {
  // The caller's.
  TG_AUTH_MISSING: { status: 401, message: 'No credential. Send an API key as "Authorization: Bearer tg_…".' },
  TG_AUTH_INVALID: { status: 401, message: 'The credential is not valid. Check the API key, or ask for a new one.' },
  TG_AUTH_NOT_ACCEPTED: { status: 401, message: 'This route does not take this kind of credential.' },
  TG_AUTH_IN_QUERY: {
    status: 401,
    message: 'API keys are not read from the query string. Send the key in the Authorization header.',
  },
  TG_RATE_LIMITED: { status: 429, message: 'Too many attempts from this address. Try again later.' },
  TG_SIGN_IN_FAILED: { status: 400, message: 'Signing in did not work. Please start again.' },
  TG_SIGN_IN_NOT_ALLOWED: { status: 403, message: 'This account may not sign in here. Please contact support.' },
  TG_SCOPE_MISSING: { status: 403, message: 'The access token does not hold the scopes that this route asks for.' },
  TG_USER_BLOCKED: { status: 403, message: 'This account is blocked. Please contact support.' },
  TG_CREDITS_INSUFFICIENT: {
    status: 402,
    message: 'Insufficient credits. Please contact support to add more credits to your account.',
  },
  TG_KEY_LIMIT_REACHED: {
    status: 402,
    message: 'This API key has reached its spending limit. Use another key, or ask for one with a higher limit.',
  },
  TG_USER_NOT_FOUND: { status: 404, message: 'There is no such user.' },
  TG_EMAIL_TAKEN: { status: 409, message: 'There is a user with this address already.' },
  TG_BALANCE_TOO_LOW: {
    status: 409,
    message: 'The balance is lower than what is to be deducted. Nothing was changed.',
  },
  TG_BALANCE_CHANGED: { status: 409, message: 'The balance has changed in the meantime. Look at it, then try again.' },
  TG_BALANCE_OUT_OF_RANGE: { status: 422, message: 'The balance would pass 2^53 - 1. Nothing was changed.' },
  TG_IDEMPOTENCY_KEY_USED: {
    status: 422,
    message: 'This Idempotency-Key was used for another request. Make a new key for each new change.',
  },
  TG_IDEMPOTENCY_KEY_BUSY: {
    status: 409,
    message: 'The request with this Idempotency-Key is under way. Ask again shortly for its answer.',
  },
  TG_ENTRY_NOT_FOUND: { status: 404, message: 'There is no such entry in this ledger.' },
  TG_KEY_NOT_FOUND: { status: 404, message: 'There is no such key of yours that is good.' },
  TG_KEYS_TOO_MANY: { status: 409, message: 'There are too many keys. Revoke one that is not needed any more.' },
  TG_ROUTE_NOT_FOUND: { status: 404, message: 'No route matches this path.' },
  TG_METHOD_NOT_ALLOWED: { status: 405, message: 'The route does not take this method. See the Allow field.' },
  TG_PATH_AMBIGUOUS: {
    status: 400,
    message:
      'The path can be read in two ways. Send it as the API documents it: same case, no double slashes, no dot segments.',
  },
  TG_SERVICE_WORKER_REFUSED: {
    status: 403,
    message:
      'No service worker is served here: it could read and answer what belongs to the sign-in pages on this origin. ' +
      'The operator can give those a host of their own (server.portalUrl).',
  },
  TG_REQUEST_MALFORMED: { status: 400, message: 'The request is not well-formed HTTP.' },
  TG_INPUT_INVALID: {
    status: 400,
    message: 'A parameter does not fit. The documentation of the API lists what it takes.',
  },
  TG_EXPECTATION_FAILED: { status: 417, message: 'The gateway takes no other expectation than 100-continue.' },
  TG_URL_TOO_LONG: { status: 414, message: 'The URL is too long. Send long input in the body.' },
  TG_HEADER_TOO_LARGE: {
    status: 431,
    message: 'The header of the request is too large. Send fewer or shorter fields.',
  },
  TG_BODY_TOO_LARGE: { status: 413, message: 'The body is larger than this route takes. Nothing was charged.' },
  TG_REQUEST_TIMEOUT: { status: 408, message: 'The request did not arrive in time. Nothing was charged.' },
  TG_VERSION_UNSUPPORTED: { status: 505, message: 'The gateway speaks HTTP/1.0 and HTTP/1.1.' },
  TG_LOOP_DETECTED: { status: 508, message: 'The request has passed through too many gateways: it goes in a circle.' },
  TG_CALLER_LEFT: { status: 499, message: 'The caller left before the answer.' },
  // The upstream's.
  TG_UPSTREAM_UNREACHABLE: { status: 502, message: 'The upstream could not be reached. Nothing was charged.' },
  TG_UPSTREAM_TIMEOUT: { status: 504, message: 'The upstream did not answer in time. Nothing was charged.' },
  // The gateway's, for the moment.
  TG_CREDITS_RESERVED: {
    status: 503,
    message: 'Enough credits, but they are reserved by other calls for the moment. Try again shortly.',
  },
  TG_STORE_UNAVAILABLE: { status: 503, message: 'Credits cannot be checked for the moment. Try again shortly.' },
  TG_JOURNAL_FULL: { status: 503, message: 'Charges cannot be kept for the moment. Try again shortly.' },
  TG_AUTH_UNAVAILABLE: {
    status: 503,
    message: 'The access token cannot be checked for the moment. Try again shortly.',
  },
  TG_PROVIDER_UNAVAILABLE: {
    status: 503,
    message: 'The sign-in provider does not answer for the moment. Try again shortly.',
  },
  TG_OVERLOADED: { status: 503, message: 'Too many calls are waiting. Try again shortly.' },
  TG_SHUTTING_DOWN: { status: 503, message: 'The gateway is shutting down. Try again shortly.' },
  TG_INTERNAL: { status: 500, message: 'The gateway failed. The request id finds the cause in its log.' },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorCode = keyof typeof errorTable;

/** Facts a caller may see beside the code, for example `{ required: 7, remaining: 2 }`. Never a credential. */
export type ErrorFacts = Readonly<Record<string, string | number>>;

/** An error with a public face. `cause` is for the log alone. */
export class TollgateError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, facts: ErrorFacts = {}, cause?: unknown) {
    super(errorTable[code].message, cause === undefined ? undefined : { cause });
    this.name = 'TollgateError';
    this.code = code;
    this.status = errorTable[code].status;
    this.facts = facts;
  }
}
