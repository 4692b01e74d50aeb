// The answers that people look for in the table: which row is how many times another. Pure.

import { compareRows, type Figure, type Measure, type Measurement } from './report.ts';

interface Question {
  readonly title: string;
  readonly row: string;
  readonly base: string;
  readonly measure: Measure;
}

const atFullLoad: readonly Question[] = [
  ...both('requestsPerSecond', 'bare proxy, requests/s'),
  ...both('cpuMicrosPerRequest', 'bare proxy, CPU per request'),
  {
    title: 'Tollgate on PostgreSQL ÷ the naive way, requests/s',
    row: 'postgres',
    base: 'naive',
    measure: 'requestsPerSecond',
  },
  {
    title: 'Tollgate on PostgreSQL ÷ the naive way, 10,000 users, requests/s',
    row: 'users',
    base: 'naive-users',
    measure: 'requestsPerSecond',
  },
  { title: 'two workers ÷ one, requests/s', row: 'workers-2', base: 'workers-1', measure: 'requestsPerSecond' },
  { title: 'two workers ÷ one, CPU per request', row: 'workers-2', base: 'workers-1', measure: 'cpuMicrosPerRequest' },
];

const atHalfLoad: readonly Question[] = both('p99Ms', 'bare proxy, p99 at half its load');

function both(measure: Measure, base: string): Question[] {
  return [
    { title: `Tollgate on SQLite ÷ ${base}`, row: 'sqlite', base: 'bare', measure },
    { title: `Tollgate on PostgreSQL ÷ ${base}`, row: 'postgres', base: 'bare', measure },
  ];
}

/** What can be said of the rows that were measured. */
export function figuresOf(full: readonly Measurement[], half: readonly Measurement[]): Figure[] {
  return [...answersTo(atFullLoad, full), ...answersTo(atHalfLoad, half)];
}

function answersTo(questions: readonly Question[], measurements: readonly Measurement[]): Figure[] {
  return questions.flatMap(({ title, row, base, measure }) => {
    const value = compareRows(measurements, row, base, measure);
    return value === null ? [] : [{ title, value }];
  });
}
