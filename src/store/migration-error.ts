// What keeps the tables from being brought up to date, for a person to resolve.

/** A state of the schema that a human has to resolve; the message ends in the remedy. */
export class MigrationError extends Error {
  override name = 'MigrationError';
}
