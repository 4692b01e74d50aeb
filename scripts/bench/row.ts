// What a row of the table is: something between the load and the upstream that can be started and stopped. What it needs
// for the whole bench (a database server, a folder) is opened once; the process measured is new in each round.

export interface Setting {
  /** URL of the upstream. */
  readonly upstream: string;
  /** The core of the process measured, or null when it may use any. */
  readonly core: string | null;
}

/** What is measured in one round. */
export interface Subject {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The process measured; null when there is none between load and upstream. */
  readonly pid: number | null;
  /** Stops it and returns how many calls it has charged, or null when it charges none. */
  stop(): Promise<number | null>;
}

export interface OpenRow {
  start(setting: Setting): Promise<Subject>;
  close(): Promise<void>;
}

export interface Row {
  readonly title: string;
  open(): Promise<OpenRow>;
}
