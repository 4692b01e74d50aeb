// Whether an error means that the database cannot be reached for the moment: pure, by the codes of drivers and system.

/** An error at the bottom of what was thrown. */
export interface Fault {
  /** Of the driver, the database or the system; `UNEXPECTED` without one. */
  readonly code: string;
  readonly message: string;
}

/** Several addresses tried in vain are one error around the errors; the first tells enough. */
export function faultOf(error: unknown): Fault {
  if (error instanceof AggregateError && error.errors.length > 0) return faultOf(error.errors[0]);
  if (!(error instanceof Error)) return { code: 'UNEXPECTED', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : codeOfMessage(error.message);
  return { code, message: error.message === '' ? code : error.message };
}

/** The PostgreSQL driver gives its own time-outs, and what it no longer asks a connection that broke, no code. */
function codeOfMessage(message: string): string {
  if (message === 'Query read timeout') return 'ETIMEDOUT';
  return /timeout exceeded when trying to connect|Connection terminated|not queryable/.test(message)
    ? 'ECONNTIMEOUT'
    : 'UNEXPECTED';
}

/** Whether nobody answers under the code: no network, no server, or one that is going down. */
export function isUnreachable(code: string): boolean {
  return /^(ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|08|57P)/.test(code);
}

/** Whether trying again later may do: nobody answers, not within the time for a statement (57014), or there is no room. */
export function isOutage(error: unknown): boolean {
  const { code } = faultOf(error);
  return isUnreachable(code) || /^(53|57014|SQLITE_BUSY|STORE_THREAD_ENDED)/.test(code);
}

/** Whether the database has understood and does not take what it was given: it will not do so later either. */
export function isBadData(error: unknown): boolean {
  return /^(2[23][0-9A-Z]{3}$|SQLITE_(CONSTRAINT|MISMATCH|TOOBIG))/.test(faultOf(error).code);
}
