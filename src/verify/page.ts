// The report on a page, for people.

import type { Finding } from './audit/finding.ts';
import { type FaultKind, faultKinds } from './stage/records.ts';
import type { Report } from './verify.ts';

/** Of what was broken, and of what was bounded, so much is told for each promise. */
const toldMax = 10;

export function pageOf(report: Report): string {
  const { place, seed, seconds, gateways, callers, calls, faults, untried, findings } = report;
  const tried = (Object.entries(faults) as [FaultKind, number][]).map(
    ([kind, times]) => `  ${String(times).padStart(4)} × ${faultKinds[kind]}`,
  );
  const bounded = findings.flatMap((finding) => told(finding.bounded));
  const broken = findings.filter((finding) => finding.broken.length > 0).length;
  return [
    'What was tried',
    '',
    `  ${place}; seed ${seed}`,
    `  ${gateways} gateways, ${callers} callers, ${calls.toLocaleString('en-US')} calls in ${seconds} s`,
    ...tried,
    ...untried.map((what) => `  not tried: ${what}`),
    '',
    'What held',
    '',
    ...findings.flatMap(linesOf),
    ...(bounded.length === 0 ? [] : ['', 'What was bounded', '', ...bounded.map((line) => `  ${line}`)]),
    '',
    broken === 0
      ? 'Every promise was kept.'
      : `${broken} of ${findings.length} promises were not kept. Please report this page, with the seed.`,
  ].join('\n');
}

function linesOf({ promise, seen, broken }: Finding): string[] {
  const mark = broken.length === 0 ? '✓' : '✗';
  return [`  ${mark} ${promise}: ${seen}`, ...told(broken).map((line) => `      ${line}`)];
}

function told(lines: readonly string[]): string[] {
  return lines.length <= toldMax ? [...lines] : [...lines.slice(0, toldMax), `and ${lines.length - toldMax} more`];
}
