import t from 'tap';
import {
  type CallerProgress,
  type CallFacts,
  type EndingFacts,
  endingOf,
  isSuccess,
  outcomeOf,
  type UpstreamProgress,
} from '../../src/gateway/outcome.ts';

const statuses = [null, 200, 404];
const upstreams: UpstreamProgress[] = ['idle', 'pending', 'whole', 'failed'];
const callers: CallerProgress[] = ['waiting', 'served', 'left'];

/** `status upstream caller`, then `whole` or `part` for the caller's body. Every combination that can come about. */
const table: Record<string, 'settle' | 'release' | 'open'> = {
  'null idle waiting whole': 'open',
  'null idle waiting part': 'open',
  'null idle served whole': 'release',
  'null idle served part': 'release',
  'null idle left whole': 'release',
  'null idle left part': 'release',
  'null pending waiting whole': 'open',
  'null pending waiting part': 'open',
  'null pending served whole': 'release',
  'null pending served part': 'release',
  'null pending left whole': 'open',
  'null pending left part': 'release',
  'null failed waiting whole': 'release',
  'null failed waiting part': 'release',
  'null failed served whole': 'release',
  'null failed served part': 'release',
  'null failed left whole': 'release',
  'null failed left part': 'release',
  '200 pending waiting whole': 'open',
  '200 pending waiting part': 'open',
  '200 pending served whole': 'release',
  '200 pending served part': 'release',
  '200 pending left whole': 'settle',
  '200 pending left part': 'settle',
  '200 whole waiting whole': 'open',
  '200 whole waiting part': 'open',
  '200 whole served whole': 'settle',
  '200 whole served part': 'settle',
  '200 whole left whole': 'settle',
  '200 whole left part': 'settle',
  '200 failed waiting whole': 'release',
  '200 failed waiting part': 'release',
  '200 failed served whole': 'release',
  '200 failed served part': 'release',
  '200 failed left whole': 'release',
  '200 failed left part': 'release',
  '404 pending waiting whole': 'release',
  '404 pending waiting part': 'release',
  '404 pending served whole': 'release',
  '404 pending served part': 'release',
  '404 pending left whole': 'release',
  '404 pending left part': 'release',
  '404 whole waiting whole': 'release',
  '404 whole waiting part': 'release',
  '404 whole served whole': 'release',
  '404 whole served part': 'release',
  '404 whole left whole': 'release',
  '404 whole left part': 'release',
  '404 failed waiting whole': 'release',
  '404 failed waiting part': 'release',
  '404 failed served whole': 'release',
  '404 failed served part': 'release',
  '404 failed left whole': 'release',
  '404 failed left part': 'release',
};

/** All facts that can come about: a status needs an exchange that began, a whole answer needs a status. */
function possibleFacts(): CallFacts[] {
  const all: CallFacts[] = [];
  for (const status of statuses) {
    for (const upstream of upstreams.filter((it) => (status === null ? it !== 'whole' : it !== 'idle'))) {
      for (const caller of callers) {
        for (const isRequestWhole of [true, false]) all.push({ status, upstream, caller, isRequestWhole });
      }
    }
  }
  return all;
}

t.test('every combination of facts has the outcome of the table, and the table has no other', (t) => {
  const facts = possibleFacts();
  const name = (it: CallFacts) => `${it.status} ${it.upstream} ${it.caller} ${it.isRequestWhole ? 'whole' : 'part'}`;
  for (const it of facts) t.equal(outcomeOf(it) ?? 'open', table[name(it)], name(it));
  t.equal(facts.length, Object.keys(table).length);
  t.end();
});

t.test('a call whose caller is gone stays open only while the answer to a whole request is out', (t) => {
  const open = possibleFacts().filter((it) => it.caller !== 'waiting' && outcomeOf(it) === null);
  t.strictSame(open, [{ status: null, upstream: 'pending', caller: 'left', isRequestWhole: true }]);
  t.end();
});

t.test('a call that is charged has one of five endings', (t) => {
  const usual: EndingFacts = { upstream: 'whole', caller: 'served', hasLeftEarly: false, hasStalled: false };
  const left = { ...usual, upstream: 'pending', caller: 'left' } as const;
  t.equal(endingOf(usual), 'delivered');
  t.equal(endingOf(left), 'caller-left');
  t.equal(
    endingOf({ ...left, upstream: 'whole' }),
    'caller-left',
    'the upstream has said it all, the caller has not heard it',
  );
  t.equal(endingOf({ ...left, hasLeftEarly: true }), 'caller-left-early');
  t.equal(endingOf({ ...left, hasStalled: true }), 'caller-stalled');
  for (const caller of callers) t.equal(endingOf({ ...usual, upstream: 'switched', caller }), 'upgraded', caller);
  t.equal(endingOf({ ...left, upstream: 'switched', hasLeftEarly: true }), 'upgraded');
  t.end();
});

t.test('2xx is success and nothing else is', (t) => {
  for (const status of [200, 201, 204, 206, 226, 299]) t.ok(isSuccess(status), String(status));
  for (const status of [101, 199, 300, 304, 400, 402, 500, 599]) t.notOk(isSuccess(status), String(status));
  t.end();
});
