// What the bench asks of Linux: which cores the programs may use, and what a process has taken of the processor and the
// memory. Elsewhere the answers are null, and the bench runs without them.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Lists of cores as taskset takes them: one core for the process that is measured, the others for everybody else. */
export interface Cores {
  readonly measured: string;
  readonly others: string;
}

/** USER_HZ: part of Linux's contract with programs, whatever the kernel's own clock. */
const ticksPerSecond = 100;

/**
 * Keeps this process, and with it every process that it starts, off one core, which is left to the process that is
 * measured. Null, and nothing done, with a single core or without taskset.
 */
export function divideCores(): Cores | null {
  const [measured, ...others] = allowedCores();
  if (measured === undefined || others.length === 0) return null;
  const cores = { measured: String(measured), others: others.join(',') };
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

/** Processor time that all threads of the process have taken so far, in microseconds, in steps of 10 ms. */
export function cpuTimeMicros(pid: number): number | null {
  // The second field is the name of the program, in brackets, and may hold anything; utime and stime are 14 and 15.
  const fields = readProc(`${pid}/stat`)
    ?.replace(/^.*\) /s, '')
    .split(' ');
  if (fields === undefined) return null;
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
}

/** The most memory that the process has had resident, in bytes. */
export function peakResidentBytes(pid: number): number | null {
  const kibibytes = fieldOf(readProc(`${pid}/status`), 'VmHWM');
  return kibibytes === null ? null : Number.parseInt(kibibytes, 10) * 1024;
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
