// What a parent and its workers say to each other.

import type { Snapshot } from '../observability/summed-metrics.ts';

/** What the configuration was made of: workers read what their parent has read, whenever they start. */
export interface FilesRead {
  /** The name of the configuration. */
  readonly main: string;
  /** What each of the files held, by name. */
  readonly texts: Readonly<Record<string, string>>;
}

/** Why a worker could not start, as `tollgate start` tells it. */
export interface Told {
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
}

export interface Report {
  readonly type: 'report';
  /** Whether the parent has asked; workers report unasked as well. */
  readonly isAnswer: boolean;
  readonly obstacles: readonly string[];
  readonly warnings: readonly string[];
  readonly metrics: Snapshot;
}

export type ToWorker =
  | { readonly type: 'start'; readonly worker: number; readonly files: FilesRead }
  | { readonly type: 'ask' }
  | { readonly type: 'stop' };

export type ToParent =
  /** The first word: what was said before it nobody would have heard. */
  | { readonly type: 'hello' }
  | { readonly type: 'ready'; readonly address: string }
  | Report
  | { readonly type: 'failed'; readonly told: Told };
