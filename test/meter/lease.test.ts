import t from 'tap';
import {
  type Account,
  applyAnswer,
  askOf,
  creditsLeft,
  forgetMessage,
  isLow,
  type Lease,
  openLease,
  releaseHold,
  settleHold,
  spareOf,
  takeHold,
} from '../../src/meter/lease.ts';

t.test('a new lease holds nothing and sells nothing', (t) => {
  const lease = newLease();
  t.equal(takeHold(lease, 1, 0), false);
  t.equal(spareOf(lease), 0);
  t.end();
});

t.test('a hold is taken only when held, unsent and its cost fit the lease', (t) => {
  const lease = grantedLease(10);
  t.equal(takeHold(lease, 6, 0), true);
  t.equal(takeHold(lease, 5, 0), false);
  settleHold(lease, 6);
  t.equal(takeHold(lease, 5, 0), false, 'a settled call is still owed');
  t.equal(takeHold(lease, 4, 0), true);
  t.equal(spareOf(lease), 0);
  t.end();
});

t.test('a hold that is ended twice is caught', (t) => {
  const lease = grantedLease(10);
  takeHold(lease, 6, 0);
  releaseHold(lease, 6);
  t.throws(() => releaseHold(lease, 6), /given back once/);
  t.throws(() => settleHold(lease, 6), /given back once/);
  t.end();
});

t.test('a hold of nothing, of a part or of less than nothing is caught', (t) => {
  for (const cost of [0, -1, 1.5, Number.NaN]) t.throws(() => takeHold(grantedLease(10), cost, 0), /whole number/);
  t.end();
});

t.test('a message keeps what is not sent: calls in flight, and charges beyond it', (t) => {
  const lease = grantedLease(100);
  takeHold(lease, 30, 0);
  takeHold(lease, 20, 0);
  settleHold(lease, 20);
  const ask = askOf(lease, 15, [], true, 1000);
  t.match(ask, { keep: 85, need: 0, emptied: false });
  t.equal(lease.amount, 100, 'until the answer the charges under way still take their place');
  t.end();
});

t.test('a lease with calls in line keeps exactly what is in use', (t) => {
  const lease = grantedLease(100);
  takeHold(lease, 60, 0);
  const ask = askOf(lease, 0, [50, 50], true, 1000);
  t.match(ask, { keep: 60, need: 50, emptied: true });
  t.ok(ask.want >= 100, 'it wishes for all that wait');
  t.equal(takeHold(lease, 1, 0), false, 'what was given up is given up when the message is built');
  t.end();
});

t.test('an answer posts the charges that were sent and sets the lease', (t) => {
  const lease = grantedLease(100);
  takeHold(lease, 30, 0);
  settleHold(lease, 30);
  askOf(lease, 30, [], true, 1000);
  takeHold(lease, 5, 0);
  answer(lease, 90, 970);
  t.match(lease, { amount: 90, held: 5, unsent: 0, sending: 0 });
  t.equal(creditsLeft(lease.account), 965);
  t.end();
});

t.test('after an unknown outcome the charges are still owed and what was given up stays given up', (t) => {
  const lease = grantedLease(100);
  takeHold(lease, 30, 0);
  settleHold(lease, 30);
  askOf(lease, 30, [], false, 1000);
  forgetMessage(lease);
  t.match(lease, { amount: 30, unsent: 30, sending: 0 });
  t.match(askOf(lease, 30, [], false, 2000), { keep: 0, emptied: true });
  t.end();
});

t.test('an answer below what is kept is caught', (t) => {
  const lease = grantedLease(100);
  askOf(lease, 0, [], true, 1000);
  t.throws(() => answer(lease, 99, 100), /never less than what it keeps/);
  t.end();
});

t.test('a lease that was called back takes no credits in advance until a call has had to wait', (t) => {
  const lease = grantedLease(100);
  takeHold(lease, 5, 0);
  t.match(askOf(lease, 0, [], false, 1000), { keep: 5, want: 0, emptied: true });
  answer(lease, 5, 100);
  t.equal(isLow(lease), false);
  t.match(askOf(lease, 0, [], true, 2000), { keep: 5, want: 0, emptied: true });
  answer(lease, 5, 100);
  t.match(askOf(lease, 0, [7], true, 3000), { need: 7, emptied: true });
  answer(lease, 12, 100);
  t.equal(lease.isEmptied, false);
  t.end();
});

t.test('the wish follows the rate of use, and more is asked for below a quarter of it', (t) => {
  const lease = grantedLease(4000);
  for (let second = 1; second <= 30; second++) {
    for (let call = 0; call < 100; call++) takeHold(lease, 1, second * 1000);
    askOf(lease, 0, [], true, second * 1000);
    forgetMessage(lease);
  }
  t.ok(lease.rate > 95 && lease.rate <= 100, `the rate is ${lease.rate}`);
  t.equal(isLow(lease), false);
  takeHold(lease, 900, 31_000);
  t.equal(isLow(lease), true);
  t.end();
});

function newLease(): Lease {
  const account: Account = { user: 'u', balance: 0, held: 0, unsent: 0, leases: 1 };
  return openLease(account, '', 0);
}

/** A lease that the store has granted so much. */
function grantedLease(amount: number): Lease {
  const lease = newLease();
  askOf(lease, 0, [amount], true, 0);
  answer(lease, amount, 1000);
  return lease;
}

function answer(lease: Lease, amount: number, balance: number): void {
  const kept = lease.amount - lease.sending;
  applyAnswer(lease, kept, { user: 'u', key: '', amount, balance, leased: amount, answer: 'ok', short: null });
}
