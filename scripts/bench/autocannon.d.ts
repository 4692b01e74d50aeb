// The part of autocannon that the bench uses: it comes without types.

declare module 'autocannon' {
  import type { EventEmitter } from 'node:events';

  export interface Client {
    /** What the connection asks for, in turns. */
    setRequests(requests: { headers: Record<string, string> }[]): void;
  }

  interface Options {
    readonly url: string;
    readonly connections: number;
    /** Seconds. */
    readonly duration: number;
    /** Milliseconds between two looks at whether the time is over. */
    readonly sampleInt: number;
    /** Is called once for each connection. */
    readonly setupClient: (client: Client) => void;
  }

  export interface Result {
    readonly '2xx': number;
    readonly non2xx: number;
    /** Connections that failed, calls that timed out included. */
    readonly errors: number;
  }

  type Events = { start: []; response: [client: unknown, status: number, bytes: number, ms: number] };

  export default function autocannon(
    options: Options,
    done: (error: Error | null, result: Result) => void,
  ): EventEmitter<Events>;
}
