// One call, step by step, with a ledger that only counts: what is asked of the meter, and when the exchange is given up.

import t from 'tap';
import { TollgateError } from '../../src/errors.ts';
import { Call, type CallMeter } from '../../src/gateway/call.ts';
import type { Hold } from '../../src/meter/meter.ts';
import { sampleRoute } from './sample-routes.ts';

const user = { userId: 'u', keyId: null, hasKeyLimit: false };
const hold: Hold = { ...user, chargeId: 'c', cost: 3, route: '/', requestId: 'r', takenAtMs: 0 };

/** A call on a route, and the list of what it did. */
function openCall(parts: { hold?: Hold | null; isRequestWhole?: boolean } = {}): { call: Call; deeds: string[] } {
  const deeds: string[] = [];
  const meter: CallMeter = {
    hold: () => hold,
    settle: (_hold, status, ended) => deeds.push(`settle ${status} ${ended}`),
    release: () => deeds.push('release'),
    remaining: (_hold, charged) => (charged ? 7 : 10),
    free: (_user, route, isFailed) => deeds.push(`free ${route} ${isFailed}`),
  };
  const isRequestWhole = () => parts.isRequestWhole ?? true;
  const given = parts.hold === undefined ? hold : parts.hold;
  const answerWith = () => true;
  const disconnect = () => deeds.push('disconnect');
  const call = new Call({ route: sampleRoute('/'), user, hold: given, meter, isRequestWhole, answerWith, disconnect });
  return { call, deeds };
}

function start(call: Call, deeds: string[]): void {
  call.onStart(() => deeds.push('cancel'));
}

const failure = new TollgateError(
  'TG_UPSTREAM_UNREACHABLE',
  {},
  Object.assign(new Error('no'), { code: 'ECONNREFUSED' }),
);

t.test('a call that goes well settles once, when it is delivered', (t) => {
  const { call, deeds } = openCall();
  start(call, deeds);
  t.equal(call.cost, 0, 'nothing is known yet');
  call.onStatus(201);
  t.match(call, { cost: 3, remaining: 7, outcome: null });
  call.onWhole();
  t.strictSame(deeds, []);
  call.onCallerClosed(true);
  call.onCallerClosed(false);
  t.strictSame(deeds, ['settle 201 delivered']);
  t.match(call, { outcome: 'settle', upstreamError: null, caller: 'served', upstream: 'whole' });
  t.ok((call.upstreamHeadersAt ?? 0) >= (call.upstreamStartedAt ?? Number.POSITIVE_INFINITY));
  t.end();
});

t.test('a failure after success was promised releases, and takes the promise back', (t) => {
  const { call, deeds } = openCall();
  start(call, deeds);
  call.onStatus(200);
  call.onFailed(failure);
  t.match(call, { cost: 0, remaining: 10, outcome: 'release', upstreamError: 'ECONNREFUSED: no' });
  call.onCallerClosed(true);
  t.strictSame(deeds, ['release']);
  t.end();
});

t.test('a caller who left is waited for, and the exchange given up as soon as its status is known', (t) => {
  const { call, deeds } = openCall();
  start(call, deeds);
  call.onCallerClosed(false);
  t.strictSame(deeds, []);
  call.onStatus(200);
  t.strictSame(deeds, ['settle 200 caller-left-early', 'cancel']);
  t.end();
});

t.test('a caller who leaves the answer, or does not read it, is charged for that', (t) => {
  const left = openCall();
  start(left.call, left.deeds);
  left.call.onStatus(200);
  left.call.onCallerClosed(false);
  t.strictSame(left.deeds, ['settle 200 caller-left', 'cancel']);
  const stalled = openCall();
  start(stalled.call, stalled.deeds);
  stalled.call.onStatus(200);
  stalled.call.answerStalledSince = 1;
  stalled.call.endStall(stalled.call.route.readTimeout + 1);
  t.strictSame(stalled.deeds, [], 'the limit itself is not beyond it');
  stalled.call.endStall(stalled.call.route.readTimeout + 2);
  t.strictSame(stalled.deeds, ['settle 200 caller-stalled', 'cancel', 'disconnect']);
  t.end();
});

t.test('an upgrade that is accepted is charged as one', (t) => {
  const { call, deeds } = openCall();
  start(call, deeds);
  call.onSwitched();
  call.onCallerClosed(false);
  t.strictSame(deeds, ['settle 101 upgraded', 'cancel']);
  t.end();
});

t.test('a caller who left mid-body is not waited for', (t) => {
  const { call, deeds } = openCall({ isRequestWhole: false });
  start(call, deeds);
  call.onCallerClosed(false);
  t.strictSame(deeds, ['release', 'cancel']);
  t.end();
});

t.test('an answer of our own gives up the exchange and releases', (t) => {
  const { call, deeds } = openCall();
  start(call, deeds);
  call.onStatus(200);
  call.onOwnAnswer();
  t.strictSame(deeds, ['release', 'cancel']);
  call.onCallerClosed(true);
  t.strictSame(deeds, ['release', 'cancel']);
  t.end();
});

t.test('a call that costs nothing is counted instead, as failed or not', (t) => {
  const well = openCall({ hold: null });
  start(well.call, well.deeds);
  well.call.onStatus(200);
  well.call.onWhole();
  well.call.onCallerClosed(true);
  t.strictSame(well.deeds, ['free / false']);
  t.match(well.call, { outcome: 'free', cost: 0, remaining: null });
  const badly = openCall({ hold: null });
  start(badly.call, badly.deeds);
  badly.call.onStatus(404);
  t.strictSame(badly.deeds, ['free / true']);
  t.end();
});
