// The soak for people: a line for each minute, and what is to be said at the end. Pure.

import { minutesMin } from './flatness.ts';
import type { MinuteReport, SoakReport } from './soak.ts';

/** One line. */
export function renderMinute({ minute, load, residentBytes, delay, holdsOpen }: MinuteReport): string {
  const { sent, good, bad, errors, left, seconds, p99Ms } = load;
  return [
    `minute ${minute}: ${Math.round(sent / seconds)} calls/s (${good} good, ${bad} failed, ${errors} cut, ${left} left)`,
    `p99 ${p99Ms.toFixed(1)} ms`,
    `RSS ${residentBytes === null ? 'unknown' : `${Math.round(residentBytes / 1e6)} MB`}`,
    `event loop late by ${delay.p99Ms.toFixed(1)} ms at p99, ${delay.maxMs.toFixed(0)} at most`,
    `${holdsOpen} holds open`,
  ].join(', ');
}

/** Ends without a newline. */
export function renderSoak(report: SoakReport): string {
  const { users, rate, store, minutesSeen, isFlat, holdsLeft, answered, charged, machine } = report;
  const sent = minutesSeen.reduce((sum, { load }) => sum + load.sent, 0);
  const resident = Math.max(...minutesSeen.map(({ residentBytes }) => residentBytes ?? Number.NaN));
  return [
    `${sent} calls of ${users} users at ${rate} a second, on ${store}.`,
    `RSS: at most ${Math.round(resident / 1e6)} MB, ${isFlat === null ? `too short to tell whether it is flat (${minutesMin} minutes)` : isFlat ? 'flat' : 'not flat'}.`,
    `Holds left: ${holdsLeft}.`,
    `Charged: ${charged} of ${answered} answers of 2xx, those before the soak included; the audit found every balance to be its ledger's sum.`,
    `${machine.node}, ${machine.system}, ${machine.processor}.`,
  ].join('\n');
}
