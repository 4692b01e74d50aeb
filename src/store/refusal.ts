// What the store refuses to do, and why: the few answers of its vocabulary that a person has to act on. The door that
// was asked (command line, API) adds the remedy in its own words.

export type RefusalCode =
  | 'USER_NOT_FOUND'
  | 'EMAIL_TAKEN'
  | 'KEY_NOT_FOUND'
  | 'KEY_REVOKED'
  | 'KEY_EXPIRED'
  | 'CREDITS_INSUFFICIENT'
  | 'CREDITS_RESERVED'
  | 'CREDITS_CHANGED'
  | 'CREDITS_OUT_OF_RANGE'
  | 'IDEMPOTENCY_KEY_USED'
  | 'IDEMPOTENCY_KEY_BUSY';

/** The request was understood and nothing was changed. The message says why, without the remedy. */
export class Refusal extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
  }
}
