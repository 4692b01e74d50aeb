// The auditor is given records of runs in which one thing went wrong, and has to find it, and nothing else.

import t from 'tap';
import type { BookedChange, BookedCharge } from '../../src/store/proof.ts';
import { type FinalBooks, judgeBooks } from '../../src/verify/audit/books.ts';
import { judgeCharges } from '../../src/verify/audit/charges.ts';
import type { Finding } from '../../src/verify/audit/finding.ts';
import { judgeNoCredits } from '../../src/verify/audit/no-credits.ts';
import { judgeRefusals } from '../../src/verify/audit/refusals.ts';
import type { Player } from '../../src/verify/stage/cast.ts';
import {
  type CallRecord,
  type EditRecord,
  type FaultRecord,
  Records,
  type ServedRecord,
} from '../../src/verify/stage/records.ts';

const cast: Player[] = [
  { role: 'poor', user: 'u', credits: 10, key: { id: 'k', secret: 'tg_…', limit: null } },
  { role: 'limited', user: 'v', credits: 1_000, key: { id: 'limited', secret: 'tg_…', limit: 10 } },
];

/** A run by hand. A call lasts from 1,000 to 1,100 ms, costs 1, and is answered by its upstream with 200. */
class Story {
  readonly records = new Records();
  readonly charges: BookedCharge[] = [];
  readonly books = {
    ...{ users: 2, differences: [] as string[], entries: 3, changes: [] as BookedChange[], notHandedIn: [] },
    ...{ standings: [] as FinalBooks['standings'], leftover: { leases: 0, instances: 0 } },
  };

  call(given: Partial<CallRecord> = {}, served: Partial<ServedRecord> | null = {}, charges = 1): this {
    const call: CallRecord = {
      ...{ id: `c${this.records.calls.length}`, user: 'u', key: 'k', gateway: 'a', route: 'cheap', cost: 1 },
      ...{ startedAtMs: 1_000, endedAtMs: 1_100, end: 'whole', status: 200, code: null, hasRetryAfter: false },
      costSaid: 1,
      ...given,
    };
    this.records.calls.push(call);
    if (served !== null) {
      this.records.served.set(call.id, { status: 200, end: 'whole', endedAtMs: 1_090, times: 1, ...served });
    }
    for (let i = 0; i < charges; i++) this.charge(call, {});
    return this;
  }

  charge({ id: requestId, user, key, cost, route }: CallRecord, given: Partial<BookedCharge>): void {
    this.charges.push({
      id: `x${this.charges.length}`,
      user,
      key,
      amount: -cost,
      route,
      requestId,
      status: 200,
      ...given,
    });
  }

  refusal(status: number, code: string, given: Partial<CallRecord> = {}): this {
    return this.call({ status, code, costSaid: null, hasRetryAfter: status === 503, ...given }, null, 0);
  }

  fault(given: Partial<FaultRecord>): this {
    const fault = {
      kind: 'kill',
      gateways: ['a'],
      startedAtMs: 0,
      endedAtMs: 0,
      standings: [],
      instances: {},
    } as const;
    this.records.faults.push({ ...fault, standings: [], ...given });
    return this;
  }

  /** Credits set by hand, booked if they were: in the answer, or in what was learned at `knownAtMs` when that was lost. */
  edit(before: number, after: number, given: Partial<EditRecord> = {}): this {
    const met = { before, after, reserved: 0 };
    const edit = { user: 'u', startedAtMs: 0, knownAtMs: 1, wasCutOff: false, met, ...given };
    this.records.edits.push(edit);
    if (edit.met !== null) {
      this.books.changes.push({ user: 'u', kind: 'adjustment', amount: after - before, actor: 'sql', note: null });
    }
    return this;
  }

  findings(): Finding[] {
    const booked = new Map<string, BookedCharge[]>();
    for (const charge of this.charges) {
      const id = charge.requestId ?? 'none';
      booked.set(id, [...(booked.get(id) ?? []), charge]);
    }
    return [
      ...judgeCharges(this.records, booked),
      judgeNoCredits(this.records, booked, cast),
      ...judgeRefusals(this.records),
      ...judgeBooks(this.records, this.books, cast),
    ];
  }

  broken(): string[] {
    const findings = this.findings();
    return findings.flatMap(({ promise, broken }) => broken.map((line) => `${promise}: ${line}`));
  }
}

/** A good run with every kind of call that costs nothing, and some that do. */
function good(): Story {
  const failed = { status: 500, costSaid: 0 };
  return new Story()
    .call()
    .call(failed, { status: 500 }, 0)
    .call({ end: 'left', status: null }, { end: 'left' })
    .call({ end: 'left', status: null }, { status: null, end: 'left' }, 0)
    .call({ end: 'broken' }, { end: 'died' }, 0)
    .call({ status: 502, code: 'TG_UPSTREAM_UNREACHABLE' }, { status: null, end: 'died' }, 0)
    .refusal(503, 'TG_STORE_UNAVAILABLE');
}

t.test('the auditor finds nothing where nothing is wrong', async (t) => {
  t.same(good().broken(), []);
});

const kill = { kind: 'kill', startedAtMs: 1_105 } as const;

const stories: readonly [what: string, story: Story, told: RegExp][] = [
  ['a charge that is missing', good().call({}, {}, 0), /delivered .*: call c7 .* is not charged/],
  ['a charge that is there twice', good().call({}, {}, 2), /twice: call c7 .* charged 2 times/],
  ['a call that was forwarded twice', good().call({}, { times: 2 }), /reached the upstream 2 times/],
  [
    'a failure that is charged',
    good().call({ status: 500, costSaid: 0 }, { status: 500 }),
    /Nothing else .*answered 500/,
  ],
  ['an answer that broke off and is charged', good().call({ end: 'broken' }, { end: 'died' }), /200 and died/],
  ['a refusal that is charged', good().refusal(503, 'TG_STORE_UNAVAILABLE'), /never saw it/],
  ['a wrong cost', good().call({ cost: 7, costSaid: 7 }, {}, 0), /costs 7 and was charged 1/],
  ['a wrong X-Credits-Cost', good().call({ costSaid: 0 }), /says what .*X-Credits-Cost: 0/],
  ['a call that was left and is not charged', good().call({ end: 'left' }, { end: 'left' }, 0), /left by its caller/],
  ['a charge that nobody made', good(), /request strange, which nobody made/],
  [
    'a connection that broke for no reason',
    good().call({ end: 'broken' }, { end: 'left' }, 0),
    /broke off for no reason/,
  ],
  [
    'a 402 with credits',
    good().refusal(402, 'TG_CREDITS_INSUFFICIENT'),
    /refused for want of 1 credits.* at least 4 were free/,
  ],
  [
    'a 402 of a key with something left',
    good().refusal(402, 'TG_KEY_LIMIT_REACHED', { user: 'v', key: 'limited' }),
    /at least 10 were free/,
  ],
  ['a 402 for the limit of a key that has none', good().refusal(402, 'TG_KEY_LIMIT_REACHED'), /that nobody has set/],
  ['a failure of the gateway', good().refusal(500, 'TG_INTERNAL'), /in order.* 500 TG_INTERNAL/],
  ['a 503 without Retry-After', good().refusal(503, 'TG_OVERLOADED', { hasRetryAfter: false }), /without Retry-After/],
  ['a 401 with a good key', good().refusal(401, 'TG_AUTH_INVALID'), /401 with a good key/],
  ['a 429 with a good key', good().refusal(429, 'TG_RATE_LIMITED', { hasRetryAfter: true }), /429 with a good key/],
  ['a call that hangs', good().call({ end: 'hung', status: null }, null, 0), /call c7 .* hung/],
  [
    'a key that is let in after its end',
    good().call({ startedAtMs: 9_000, endedAtMs: 9_100, key: 'old' }),
    /let in 2000 ms/,
  ],
  ['a balance below zero for no reason', good(), /went to -3: no cause; that explains 0/],
  ['a grant that is missing', good(), /granted 5 in 1, the ledger says 0/],
  ['an edit that is missing', good().edit(10, 15), /edited 1 times by 5, the ledger says 0 by 0/],
  [
    'an edit in the ledger that did not come to pass',
    good().edit(10, 15),
    /edited 0 times by 0, the ledger says 1 by 5/,
  ],
  ['a lease that is left', good(), /2 leases left/],
];

/** What a story needs besides its calls. */
const touches: Readonly<Record<string, (story: Story) => void>> = {
  'a refusal that is charged': (story) => story.charge(story.records.calls[7] as CallRecord, {}),
  'a wrong cost': (story) => story.charge(story.records.calls[7] as CallRecord, { amount: -1 }),
  'a charge that nobody made': (story) =>
    story.charge({ ...(story.records.calls[0] as CallRecord), id: 'strange' }, {}),
  'a key that is let in after its end': (story) => story.records.revocations.push({ key: 'old', committedAtMs: 7_000 }),
  'a balance below zero for no reason': (story) => story.records.lowest.set('u', -3),
  'an edit that is missing': (story) => story.books.changes.splice(0),
  'an edit in the ledger that did not come to pass': (story) => {
    for (const edit of story.records.edits) edit.met = null;
  },
  'a grant that is missing': (story) =>
    story.records.grants.push({ user: 'u', amount: 5, key: 'g', committedAtMs: 1_000 }),
};

for (const [what, story, told] of stories) {
  t.test(`the auditor finds ${what}`, async (t) => {
    touches[what]?.(story);
    if (what.startsWith('a balance')) story.books.standings = [{ user: 'u', credits: 2, leases: [] }];
    if (what.startsWith('a lease')) story.books.leftover = { leases: 2, instances: 0 };
    const broken = story.broken();
    t.match(broken, [told]);
    t.equal(broken.length, 1);
  });
}

t.test('a kill excuses the calls in flight and those of the turn before it, and no other', async (t) => {
  const inFlight = { endedAtMs: 1_300, end: 'broken', status: null } as const;
  const earlier = { startedAtMs: 500, endedAtMs: 900 };
  t.same(good().fault(kill).call({}, {}, 0).broken(), []);
  t.same(good().fault(kill).call(inFlight, { end: 'left' }, 0).broken(), []);
  t.match(good().fault(kill).call(earlier, {}, 0).broken(), [/is not charged/]);
  t.match(
    good()
      .fault({ ...kill, gateways: ['b'] })
      .call({}, {}, 0)
      .broken(),
    [/is not charged/],
  );
  t.match(
    good()
      .fault({ ...kill, kind: 'pause' })
      .call({}, {}, 0)
      .broken(),
    [/is not charged/],
  );
});

t.test('a turn that a kill met is what ended last: nothing in it is older than a call that is charged', async (t) => {
  const lostAt = (endedAtMs: number, story: Story) =>
    story.fault(kill).call({ startedAtMs: 500, endedAtMs }, {}, 0).broken();
  t.same(lostAt(1_050, good()), [], 'as far as the order of ends can be told');
  t.match(lostAt(1_040, good()), [/is not charged/], 'one that ended at 1,100 ms is charged');
  const other = () => new Story().call({ gateway: 'b' }).call({ startedAtMs: 400, endedAtMs: 500 });
  t.same(lostAt(610, other()), [], 'a turn may be long where nothing is charged after it began');
  t.match(lostAt(600, other()), [/is not charged/], 'but not as long as that');
});

t.test('a revoked key is told 401, or 429 with Retry-After where too many have failed before it', async (t) => {
  const story = good().refusal(401, 'TG_AUTH_INVALID').refusal(429, 'TG_RATE_LIMITED', { hasRetryAfter: true });
  story.records.revocations.push({ key: 'k', committedAtMs: 1_000 });
  t.same(story.broken(), []);
  t.match(story.refusal(429, 'TG_RATE_LIMITED').broken(), [/429 TG_RATE_LIMITED without Retry-After/]);
});

t.test('a 402 is right while the calls before it may have taken the credits', async (t) => {
  const dear = { cost: 5, costSaid: 5 };
  const story = good().call(dear).call(dear).refusal(402, 'TG_CREDITS_INSUFFICIENT');
  t.same(story.broken(), []);
  story.records.grants.push({ user: 'u', amount: 20, key: 'g', committedAtMs: -1_000 });
  story.books.changes = [{ user: 'u', kind: 'grant', amount: 20, actor: 'verify', note: null }];
  t.match(story.broken(), [/though at least 14 were free/], 'a grant that was heard of counts');
  const held = good()
    .call({ ...dear, end: 'broken', status: null }, { end: 'left' }, 0)
    .call(dear)
    .fault(kill);
  t.same(held.refusal(402, 'TG_CREDITS_INSUFFICIENT').broken(), [], 'what was in flight at a kill may be held');
});

const none = 'TG_CREDITS_INSUFFICIENT';
const at = (startedAtMs: number, cost = 1) => ({ startedAtMs, endedAtMs: startedAtMs + 10, cost, costSaid: cost });
/** Two of ten credits are charged by calls. The answer was lost, and what came of it was learned at 9,000 ms. */
const lost = { startedAtMs: 2_000, knownAtMs: 9_000, wasCutOff: true };
const lostAndUndone = { ...lost, met: null };

t.test(
  'a 402 after an edit that took credits away, and whose answer was lost, is judged by what came of it',
  async (t) => {
    const refusedAt = (ms: number, lowered: Partial<EditRecord>) =>
      good()
        .edit(8, 0, lowered)
        .refusal(402, none, { ...at(ms), costSaid: null })
        .broken();
    t.match(refusedAt(1_900, lost), [/at least 4 were free/], 'wrong before it was sent');
    t.same(refusedAt(2_100, lost), [], 'right from then on');
    t.same(refusedAt(20_000, lost), []);
    t.match(refusedAt(20_000, lostAndUndone), [/at least 8 were free/], 'wrong if it did not come to pass');
  },
);

t.test('a 402 after an edit that gave credits, and whose answer was lost, is judged by what came of it', async (t) => {
  const spent = (raised: Partial<EditRecord>) =>
    good().edit(8, 0, { startedAtMs: 1_200, knownAtMs: 1_300 }).edit(0, 5, raised);
  const refusedAt = (ms: number, story: Story) => story.refusal(402, none, { ...at(ms), costSaid: null }).broken();
  t.same(refusedAt(2_100, spent(lost)), [], 'right where it may not have come to pass yet');
  t.same(refusedAt(10_400, spent(lost)), [], 'right where it may not have been heard of yet');
  t.match(refusedAt(10_600, spent(lost)), [/at least 5 were free/], 'wrong after that');
  t.same(refusedAt(10_600, spent(lost).call(at(10_500, 5))), [], 'right where a call has taken them again');
  t.same(refusedAt(10_600, spent(lostAndUndone)), [], 'right if it did not come to pass');
});

t.test('the page says how many 402 were judged, and how many credits would have shown', async (t) => {
  const seen = (story: Story) => story.findings().find(({ promise }) => promise.startsWith('Nobody gets a 402'))?.seen;
  t.equal(seen(good()), '0 of 0 answers 402 judged');
  const story = good().edit(8, 0, lost);
  for (const cost of [1, 3, 7]) story.refusal(402, none, { ...at(20_000, cost), costSaid: null });
  t.equal(seen(story), '3 of 3 answers 402 judged; with 3 credits more half of them would be found wrong');
});

t.test('what is not charged in the end counts as held until its gateway has had the time to tell so', async (t) => {
  const refusedAt = (ms: number, call: Partial<CallRecord>, served: Partial<ServedRecord> | null) =>
    good()
      .fault({ ...kill, endedAtMs: 5_000 })
      .call({ cost: 8, status: null, ...call }, served, 0)
      .refusal(402, none, { ...at(ms), costSaid: null })
      .broken();
  const inFlight = { endedAtMs: 1_105, end: 'broken' } as const;
  t.same(refusedAt(7_900, inFlight, { end: 'left' }), [], 'by a gateway that was killed');
  t.match(refusedAt(8_100, inFlight, { end: 'left' }), [/at least 8 were free/]);
  t.same(refusedAt(99_000, inFlight, { end: 'open' }), [], 'and for ever while its upstream works on it');
  const unreached = { end: 'refused', endedAtMs: 1_101 } as const;
  t.match(refusedAt(1_700, unreached, null), [/at least 4 were free/], 'but not at all where no gateway took it');
});

t.test('a balance may go below zero as far as its causes allow', async (t) => {
  const story = (lowest: number) => {
    const told = good().fault({
      standings: [
        [
          {
            user: 'u',
            credits: 10,
            leases: [
              { instance: 'i', amount: 3 },
              { instance: 'j', amount: 9 },
            ],
          },
        ],
      ],
      instances: { a: 'i' },
    });
    told.edit(10, 2, { met: { before: 10, after: 2, reserved: 4 } });
    told.books.standings = [{ user: 'u', credits: lowest, leases: [] }];
    return told.broken();
  };
  t.same(story(-5), [], 'two by the edit, three by the lease of the gateway that was hit');
  t.match(story(-6), [/that explains 5 at most/]);
});

t.test(
  'what was served while the database was away may take a balance as far as its calls cost, and no further',
  async (t) => {
    const story = (lowest: number, kind: FaultRecord['kind'] = 'silence') => {
      const told = good().fault({ kind, startedAtMs: 9_000, endedAtMs: 12_000 });
      for (const startedAtMs of [8_999, 9_500, 15_000, 15_001]) {
        told.call({ startedAtMs, endedAtMs: startedAtMs + 10, cost: 2, costSaid: 2 });
      }
      told.call({ startedAtMs: 10_000, endedAtMs: 10_010, gateway: 'b', cost: 2, costSaid: 2 });
      told.books.standings = [{ user: 'u', credits: lowest, leases: [] }];
      return told.broken();
    };
    t.same(story(-4), [], 'two calls through this gateway and in this time');
    t.match(story(-5), [/that explains 4 at most/]);
    t.match(story(-1, 'pause'), [/that explains 0 at most/]);
  },
);
