// The ways in which the meter is broken on purpose. Each is a few replacements in the compiled program; a simulation that
// keeps its promises with one of them in place would prove nothing.

import type { Dialect } from '../helpers/databases.ts';

export interface Edit {
  /** Below dist/src/. */
  readonly file: string;
  /** Is found exactly once; how the compiler has broken the lines does not matter. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  /** Where it is looked for; what needs two transactions at once shows on PostgreSQL alone. */
  readonly dialect: Dialect;
  readonly edits: readonly Edit[];
}

function mutant(name: string, file: string, find: string, replace: string, dialect: Dialect = 'sqlite'): Mutant {
  return { name, dialect, edits: [{ file, find, replace }] };
}

const lease = 'meter/lease.js';
const message = 'meter/message.js';
const grants = 'store/sync/grants.js';
const exchange = 'store/sync/exchange.js';
const statements = 'store/sync/statements.js';
const journal = 'journal/journal.js';
const outage = 'meter/outage.js';
const asIfDropped = 'books.owed.remove(outgoing.charges);';
const asIfNew = `books.owed.remove(outgoing.charges);
for (const { charge, line } of outgoing.charges) {
  books.owed.add({ ...charge, id: globalThis.crypto.randomUUID() }, line);
}`;
const asDifference = '(before?.amount ?? ask.keep + ask.sending) - ask.given - ask.sending';

const asIfOther =
  'yield { ...entryOf(record.charge), charge: { ...record.charge, id: globalThis.crypto.randomUUID() } };';
const asIfSettled = `settleHold(line.lease, hold.cost);
  const { chargeId: id, userId: user, keyId: key, cost, route, requestId } = hold;
  const charge = { id, user, key, cost, route, status: 500, requestId, at: this.#clock.date().toISOString() };
  this.#books.owed.add(charge, line);`;

export const mutants: readonly Mutant[] = [
  mutant('a release is forgotten', 'meter/meter.js', 'releaseHold(line.lease, hold.cost);', ''),
  mutant('a call that failed is charged', 'meter/meter.js', 'releaseHold(line.lease, hold.cost);', asIfSettled),
  mutant(
    'a charge is sent again under a new id',
    message,
    'function takeBack(books, outgoing) {',
    `function takeBack(books, outgoing) {${asIfNew}`,
  ),
  mutant(
    'a charge is dropped when its answer is lost',
    message,
    'function takeBack(books, outgoing) {',
    `function takeBack(books, outgoing) {${asIfDropped}`,
  ),
  mutant(
    'unsent credits are forgotten when the answer is lost',
    lease,
    'function forgetMessage(lease) {',
    'function forgetMessage(lease) { lease.unsent -= lease.sending; lease.account.unsent -= lease.sending;',
  ),
  mutant(
    'unsent credits do not count as used',
    lease,
    'lease.held + lease.unsent + cost > lease.amount + lease.allowance',
    'lease.held + cost > lease.amount + lease.allowance',
  ),
  mutant(
    'a message gives up what it gives up when it is answered',
    lease,
    'lease.amount = Math.min(lease.amount, keep + sending);',
    '',
  ),
  mutant(
    'who was fenced keeps what is idle',
    lease,
    'lease.amount = lease.held + lease.unsent; lease.allowance = 0; lease.isEmptied = true;',
    '',
  ),
  mutant(
    'waiting counts as holding',
    lease,
    'const isEmptied = need > 0 || !isWanted || lease.isEmptied;',
    'const isEmptied = need === 0 && (!isWanted || lease.isEmptied);',
  ),
  mutant(
    'a lease is not lowered when it is recalled',
    lease,
    'need > 0 || !isWanted || lease.isEmptied',
    'need > 0 || lease.isEmptied',
  ),
  mutant('a recall is not answered', message, 'line.isRecalled = true; books.dirty.add(line);', ''),
  mutant(
    'what releases leave over is not handed back',
    message,
    'isLow(line.lease) || (line.lease.isEmptied && spareOf(line.lease) > 0)',
    'isLow(line.lease)',
  ),
  mutant('a no is remembered for five seconds', 'meter/line.js', 'refusalKeptMs = 500', 'refusalKeptMs = 5_000'),
  mutant(
    'who waits for reserved credits is never told',
    'meter/line.js',
    'reservedWaitMaxMs = 1_000',
    'reservedWaitMaxMs = 60_000',
  ),
  mutant(
    'closing hands nothing in',
    'meter/sync.js',
    'while (owed.size > 0 && this.#clock.nowMs() < untilMs)',
    'while (false)',
  ),
  mutant('what others have left is not looked after', 'meter/open-meter.js', 'adoption.start();', ''),
  mutant(
    'charges are not written at the end of their turn',
    journal,
    'this.#isFlushDue = false; this.#flush();',
    'this.#isFlushDue = false;',
  ),
  mutant(
    'the disk is never told to keep what was written',
    'journal/writer.js',
    "else if (fsync === 'interval') this.#syncSoon();",
    '',
  ),
  mutant(
    'charges that others have left get new ids',
    'journal/abandoned.js',
    'yield entryOf(record.charge);',
    asIfOther,
  ),
  mutant(
    'what others have left is cleared away and not booked',
    'journal/adoption.js',
    'await this.#postOwed(journal);',
    '',
  ),
  mutant(
    'a half line hides the lines before it',
    'journal/segment-reader.js',
    'rest = rest.subarray(start);',
    "if (rest.length > start && read < piece.length) throw new Error('half a line'); rest = rest.subarray(start);",
  ),
  {
    name: 'leases are changed by differences',
    dialect: 'sqlite',
    edits: [
      {
        file: lease,
        find: 'lease.amount = Math.min(lease.amount, keep + sending);',
        replace: 'const given = lease.amount - keep - sending; lease.amount = keep + sending;',
      },
      { file: lease, find: 'emptied: isEmptied,', replace: 'emptied: isEmptied, given, sending,' },
      { file: grants, find: 'amount: ask.keep, recall', replace: `amount: Math.max(0, ${asDifference}), recall` },
    ],
  },
  mutant(
    'an allowance is as much as there was, whoever has reserved it',
    outage,
    'Math.floor((credits - leased) / instances)',
    'Math.floor(credits / instances)',
  ),
  mutant(
    'every instance allows all of it',
    outage,
    'Math.floor((credits - leased) / instances)',
    'Math.floor(credits - leased)',
  ),
  mutant('an allowance is renewed at a restart', outage, '/ instances) - unposted)', '/ instances))'),
  mutant('an allowance is there before the store is down', 'meter/meter.js', 'if (!isUp) this.#outage', 'this.#outage'),
  mutant('an allowance outlives its outage', outage, 'endAllowance(line.lease); if', 'if'),
  mutant('a limited key has an allowance', outage, "if (key !== '') return;", ''),
  mutant('who refuses sells on', outage, 'this.#books.holdsEndAtMs = sentAtMs + holdsMs;', ''),
  mutant(
    'an outage turns away whom it should serve',
    outage,
    'this.#allow(line); serveOrRefuse(line, nowMs);',
    'serveOrRefuse(line, nowMs);',
  ),
  mutant(
    'a charge is booked as if it was delivered',
    statements,
    'v.status, v.ended, v.at',
    "v.status, 'delivered', v.at",
  ),
  mutant('late messages are heard', statements, 'AND seq <', 'AND 0 <'),
  mutant('the fenced are heard', statements, 'AND NOT fenced RETURNING id', 'RETURNING id'),
  mutant('an instance is fenced that has moved on', 'store/instances.js', 'if (seq !== null)', 'if (false)'),
  mutant(
    'an instance is fenced that stood still for three seconds',
    'meter/watch.js',
    'stoppedAfterMs = 8_000',
    'stoppedAfterMs = 3_000',
  ),
  mutant(
    'a day of use counts twice',
    statements,
    ', raiseDays(db, usage));',
    ', raiseDays(db, [...usage, ...usage]));',
  ),
  mutant(
    'the use of one is left out of the total',
    statements,
    'raiseTotals(db, usage, shardOf',
    'raiseTotals(db, usage.slice(1), shardOf',
  ),
  mutant('known charges are posted again', exchange, '&& !known.has(charge.id)', ''),
  mutant(
    'charges of the message count as credits still',
    exchange,
    '(credits.get(user) ?? 0) - (spent.get(user) ?? 0)',
    '(credits.get(user) ?? 0)',
  ),
  mutant(
    'a limited key ignores its limit',
    grants,
    "ask.key === '' ? Number.POSITIVE_INFINITY : keyCreditsFree(ask.key)",
    'Number.POSITIVE_INFINITY',
  ),
  mutant(
    'what other instances have leased is free',
    grants,
    'const userFree = books.credits - sumOf(leases.values());',
    'const userFree = books.credits - sumOf([lease]);',
  ),
  mutant('the store says no without asking others', grants, "answer: 'again', short", "answer: 'no', short"),
  {
    name: 'leases are read before the users are locked',
    dialect: 'postgres',
    edits: [
      {
        file: exchange,
        find: '[me, locked, lockedKeys, present, allKeys, leases,',
        replace: '[me, leases, lockedKeys, present, allKeys, locked,',
      },
      {
        file: exchange,
        find: 'lockUsers(db, users, locks), lockKeys(db, keys, locks), presentUsers(db, users), presentKeys(db, keys), liveLeases(db, users),',
        replace:
          'liveLeases(db, users), lockKeys(db, keys, locks), presentUsers(db, users), presentKeys(db, keys), lockUsers(db, users, locks),',
      },
    ],
  },
  mutant(
    'leases are granted from the snapshot of the lock',
    'store/sync/transaction.js',
    "BEGIN ISOLATION LEVEL READ COMMITTED')",
    "BEGIN ISOLATION LEVEL REPEATABLE READ')",
    'postgres',
  ),
];
