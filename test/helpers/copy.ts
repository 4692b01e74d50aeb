// COPY on PostgreSQL, as psql and pg_dump use it, for which the driver has no door of its own.

import pg from 'pg';
import type { TestDatabase } from './databases.ts';

/** A connection as an operator has it: to the tables of the test, with nothing set that the gateway would set. */
export async function withClient<T>(
  { url, schema }: Pick<TestDatabase, 'url' | 'schema'>,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`SET search_path = "${schema}"`);
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Loads rows, in the text format of COPY, into `target`: a table, with a list of columns where not all are given. */
export async function copyIn(client: pg.Client, target: string, rows: string): Promise<void> {
  await copy(client, `COPY ${target} FROM STDIN`, rows);
}

/** All rows of `source`, in the text format of COPY. */
export function copyOut(client: pg.Client, source: string): Promise<string> {
  return copy(client, `COPY ${source} TO STDOUT`, '');
}

interface CopyConnection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

function copy(client: pg.Client, text: string, rows: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let failure: Error | null = null;
    const query = {
      submit: (connection: unknown) => (connection as CopyConnection).query(text),
      handleCopyInResponse: (connection: CopyConnection) => {
        connection.sendCopyFromChunk(Buffer.from(rows));
        connection.endCopyFrom();
      },
      handleCopyData: ({ chunk }: { chunk: Buffer }) => chunks.push(Buffer.from(chunk)),
      handleCommandComplete: () => {},
      handleError: (error: Error) => {
        failure = error;
      },
      handleReadyForQuery: () => (failure === null ? resolve(Buffer.concat(chunks).toString()) : reject(failure)),
    };
    client.query(query);
  });
}
