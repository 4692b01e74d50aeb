// What the bench asks of Linux: which cores the programs may use, and what a process and its children have taken of the
// processor and the memory. Elsewhere the answers are null, and the bench runs without them.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, release, type } from 'node:os';

/** Lists of cores as taskset takes them. */
export interface Cores {
  /** For the process that is measured: one core. */
  readonly measured: string;
  /** For the rows of several processes: two, where load and upstream keep two as well; null elsewhere. */
  readonly pair: string | null;
  /** For everybody else. */
  readonly others: string;
}

/** Where all this was measured, for people. */
export interface Machine {
  readonly node: string;
  readonly system: string;
  readonly processor: string;
}

/** USER_HZ: part of Linux's contract with programs, whatever the kernel's own clock. */
const ticksPerSecond = 100;

/**
 * Keeps this process, and with it every process that it starts, off the cores that are left to the process that is
 * measured. Null, and nothing done, with a single core or without taskset.
 */
export function divideCores(): Cores | null {
  const [measured, next, ...rest] = allowedCores();
  if (measured === undefined || next === undefined) return null;
  const pair = rest.length >= 2 ? `${measured},${next}` : null;
  const cores = { measured: String(measured), pair, others: (pair === null ? [next, ...rest] : rest).join(',') };
  const { status } = spawnSync('taskset', ['-a', '-p', '-c', cores.others, String(process.pid)], { stdio: 'ignore' });
  return status === 0 ? cores : null;
}

/** `Cpus_allowed_list: 0-2,5` as [0, 1, 2, 5]. */
function allowedCores(): number[] {
  const list = fieldOf(readProc('self/status'), 'Cpus_allowed_list')?.split(',') ?? [];
  return list.flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** What is known of the machine. */
export function describeMachine(): Machine {
  const cores = cpus();
  return {
    node: `Node ${process.version}`,
    system: `${type()} ${release()}`,
    processor: `${cores.length} × ${cores[0]?.model ?? 'unknown processor'}`,
  };
}

/**
 * Processor time that the process and its children, with all their threads, have taken so far, in microseconds, in steps
 * of 10 ms.
 */
export function cpuTimeMicros(pid: number): number | null {
  return sumOver(pid, (each) => {
    // The second field is the name of the program, in brackets, and may hold anything; utime and stime are 14 and 15.
    const fields = readProc(`${each}/stat`)
      ?.replace(/^.*\) /s, '')
      .split(' ');
    return fields === undefined ? null : ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
  });
}

/** The most memory that the process has had resident, in bytes, and with it each of its children. */
export function peakResidentBytes(pid: number): number | null {
  return sumOver(pid, (each) => bytesOf(each, 'VmHWM'));
}

/** The memory that the process has resident now, in bytes, with its children. */
export function residentBytes(pid: number): number | null {
  return sumOver(pid, (each) => bytesOf(each, 'VmRSS'));
}

function bytesOf(pid: number, field: string): number | null {
  const kibibytes = fieldOf(readProc(`${pid}/status`), field);
  return kibibytes === null ? null : Number.parseInt(kibibytes, 10) * 1024;
}

/** Null where the process itself is not told of; a child that has just ended counts for nothing. */
function sumOver(pid: number, read: (pid: number) => number | null): number | null {
  const own = read(pid);
  if (own === null) return null;
  return childrenOf(pid).reduce((sum, child) => sum + (sumOver(child, read) ?? 0), own);
}

function childrenOf(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const lists = threads.map((thread) => readProc(`${pid}/task/${thread}/children`) ?? '');
    return lists.flatMap((list) => list.split(' ').filter((word) => word !== '')).map(Number);
  } catch {
    return [];
  }
}

function fieldOf(text: string | null, name: string): string | null {
  return text?.match(new RegExp(`^${name}:\\s*(.*)$`, 'm'))?.[1] ?? null;
}

function readProc(path: string): string | null {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return null;
  }
}
