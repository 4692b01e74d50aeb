// Makes the next message to the store out of the books, and works the reply back into them. What is chosen first: calls
// that wait, then charges in the order of settling.

import { type SyncMessage, type SyncReply, usersMax } from '../store/sync/exchange.ts';
import type { LeaseAsk } from '../store/sync/grants.ts';
import { type Books, dropLine, lineOf } from './books.ts';
import { applyAnswer, askOf, forgetMessage, isLow, spareOf } from './lease.ts';
import { endReservedWaits, type Line, refuseLine, serveLine } from './line.ts';
import type { OwedCharge } from './owed.ts';

/** A lease that no call has used for so long is given back. */
const idleAfterMs = 60_000;

/** A message and what it was made of. */
export interface Outgoing {
  readonly message: SyncMessage;
  readonly lines: ReadonlyMap<Line, LeaseAsk>;
  readonly charges: readonly OwedCharge[];
  /** When it was made, in the clock's milliseconds. */
  readonly madeAtMs: number;
}

/** Who sends it as which of its messages, with how many charges at most. */
export interface Sender {
  readonly instance: string;
  readonly seq: number;
  readonly charges: number;
  /** Whether the store answers. While it does not, nothing is given back for being idle: it is what there is to serve from. */
  readonly isUp: boolean;
}

/** Takes up to the limits of one message; what is left over stays for the next. */
export function makeMessage(books: Books, sender: Sender, nowMs: number): Outgoing {
  const { instance, seq, charges: most, isUp } = sender;
  books.owed.refill();
  const users = new Set<string>();
  const lines = new Set<Line>();
  const take = (line: Line) => {
    const { user } = line.lease.account;
    if (!users.has(user) && users.size >= usersMax) return false;
    users.add(user);
    lines.add(line);
    return true;
  };
  for (const line of books.dirty) if (line.waiting.length > 0) take(line);
  const charges: OwedCharge[] = [];
  for (const owed of books.owed.values()) {
    if (charges.length >= most) break;
    if (take(owed.line)) charges.push(owed);
  }
  for (const line of books.dirty) take(line);
  const sending = new Map<Line, number>();
  for (const { line, charge } of charges) sending.set(line, (sending.get(line) ?? 0) + charge.cost);
  const asks = new Map<Line, LeaseAsk>();
  for (const line of lines) {
    books.dirty.delete(line);
    const costs = line.waiting.map((call) => call.cost);
    const isWanted = !line.isRecalled && (!isUp || nowMs - line.lease.usedAtMs < idleAfterMs);
    asks.set(line, askOf(line.lease, sending.get(line) ?? 0, costs, isWanted, nowMs));
    line.isRecalled = false;
  }
  const tallies = [...books.tallies.values()];
  books.tallies.clear();
  const message = { instance, seq, charges: charges.map((owed) => owed.charge), leases: [...asks.values()], tallies };
  return { message, lines: asks, charges, madeAtMs: nowMs };
}

/** Works the reply in: charges that are done are forgotten, leases are what the store says, calls in line are answered. */
export function applyReply(books: Books, outgoing: Outgoing, reply: SyncReply, nowMs: number): void {
  books.owed.remove(outgoing.charges.filter(({ charge }) => reply.done.has(charge.user)));
  const answers = new Map(reply.leases.map((answer) => [`${answer.user} ${answer.key}`, answer]));
  for (const [line, ask] of outgoing.lines) {
    const answer = answers.get(`${ask.user} ${ask.key}`);
    if (answer === undefined) {
      // Somebody else holds the user's row: the same again in the next message.
      forgetMessage(line.lease);
      books.dirty.add(line);
      continue;
    }
    applyAnswer(line.lease, ask.keep, answer);
    if (answer.answer === 'no' && ask.need > 0) {
      refuseLine(line, ask.need, answer.short ?? 'user', outgoing.madeAtMs);
    } else if (answer.answer === 'ok') line.refusal = null;
    if (nowMs < books.holdsEndAtMs) serveLine(line, nowMs);
    if (answer.answer === 'again') endReservedWaits(line, nowMs);
    if (line.waiting.length > 0) books.dirty.add(line);
    else if (isOver(line, nowMs)) dropLine(books, line);
  }
  for (const { user, key } of reply.recalls) recallLine(books, user, key, nowMs);
}

/** After an unknown outcome the next message carries the same charges and the present state. */
export function takeBack(books: Books, outgoing: Outgoing): void {
  for (const line of outgoing.lines.keys()) {
    forgetMessage(line.lease);
    books.dirty.add(line);
  }
}

/** Marks leases that no call has used for a while, so that the next messages give them back. */
export function markIdle(books: Books, nowMs: number): void {
  for (const line of books.lines.values()) if (nowMs - line.lease.usedAtMs >= idleAfterMs) books.dirty.add(line);
}

/** True when a settled or released hold leaves something to tell: less than is wanted, or credits somebody waits for. */
export function hasNews(line: Line): boolean {
  return isLow(line.lease) || (line.lease.isEmptied && spareOf(line.lease) > 0);
}

/** A lease that is asked for and not known here is made, to be given back. */
function recallLine(books: Books, user: string, key: string, nowMs: number): void {
  const line = lineOf(books, user, key, nowMs);
  line.isRecalled = true;
  books.dirty.add(line);
}

function isOver({ lease }: Line, nowMs: number): boolean {
  return lease.amount === 0 && lease.held === 0 && lease.unsent === 0 && nowMs - lease.usedAtMs >= idleAfterMs;
}
