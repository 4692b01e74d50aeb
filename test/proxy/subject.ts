// What the proxy suite is written against: a proxy in front of one upstream, whichever it is. The same cases run against
// Tollgate and against a bare @fastify/http-proxy.

/** A proxy that runs in front of one upstream and forwards every path to it. */
export interface Subject {
  readonly port: number;
  /** Header lines that make a request one of a caller whom the proxy knows. */
  readonly credential: readonly string[];
  /** Called when callers and upstream are gone. Rejects when the proxy is not in order then. */
  close(): Promise<void>;
}

/** What a case wants of the proxy besides its defaults. A proxy that has no such setting ignores it. */
export interface SubjectOptions {
  /** The limit between two reads, of the upstream and of the caller. */
  readonly readTimeoutMs?: number;
  /** The limit from the request to the header of its answer. */
  readonly responseHeaderTimeoutMs?: number;
  readonly preserveHost?: boolean;
  /** Whether upgrades are forwarded, where that is not the default. */
  readonly upgrades?: boolean;
}

export type OpenSubject = (upstreamUrl: string, options: SubjectOptions) => Promise<Subject>;
