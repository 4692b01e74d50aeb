import t from 'tap';
import type { Recall } from '../../src/store/database.ts';
import { allot, type Books, type LeaseAsk, type LiveLease } from '../../src/store/sync/grants.ts';

const me = 'me';

t.test('a wish gets half of what is free, shared among the live instances', (t) => {
  t.equal(amountOf(allot(books(1000), [ask({ want: 900 })], me, 1)), 500);
  t.equal(amountOf(allot(books(1000), [ask({ want: 900 })], me, 4)), 125);
  t.equal(amountOf(allot(books(1000), [ask({ want: 20 })], me, 4)), 20);
  t.end();
});

t.test('near the end exactly one call is granted', (t) => {
  t.equal(amountOf(allot(books(9), [ask({ need: 7, want: 112 })], me, 1)), 7);
  t.equal(amountOf(allot(books(7), [ask({ need: 7, want: 112 })], me, 8)), 7);
  t.end();
});

t.test('a need that is not covered gets nothing, and the answer is no when nobody else holds anything', (t) => {
  const { answers, own } = allot(books(6), [ask({ need: 7, want: 112 })], me, 1);
  t.match(answers, [{ amount: 0, balance: 6, answer: 'no', short: 'user' }]);
  t.match(own, [{ amount: 0 }]);
  t.end();
});

t.test('what other instances have reserved is not free', (t) => {
  const others = [lease('other', 90)];
  t.equal(amountOf(allot(books(100, others), [ask({ want: 100 })], me, 1)), 5);
  t.end();
});

t.test('leases of others are asked back before the answer is no', (t) => {
  const idle = allot(books(100, [lease('a', 60), lease('b', 30, 'asked')]), [ask({ need: 50 })], me, 3);
  t.match(idle.answers, [{ answer: 'again', short: 'user' }]);
  t.same(
    idle.asked.map(({ instance }) => instance),
    ['a'],
    'who was asked already is not asked twice',
  );
  const answered = allot(books(100, [lease('a', 60, 'answered')]), [ask({ need: 50 })], me, 3);
  t.match(answered, { answers: [{ answer: 'no' }], asked: [] });
  t.end();
});

t.test('what may be booked already is waited for, and is no reason for a no', (t) => {
  for (const before of ['', 'asked', 'answered'] as const) {
    const { own } = allot(books(10, [lease(me, 0, before)]), [ask({ keep: 7, emptied: true, doubted: true })], me, 2);
    t.match(own, [{ amount: 7, recall: '' }]);
    t.match(allot(books(10, own), [ask({ need: 5 })], 'other', 2).answers, [{ answer: 'again' }]);
  }
  t.end();
});

t.test('what is kept is always granted, even past the balance', (t) => {
  const { answers } = allot(books(-5, [lease('a', 10)]), [ask({ keep: 40, want: 100 })], me, 2);
  t.match(answers, [{ amount: 40, balance: -5, answer: 'ok' }]);
  t.end();
});

t.test('where more is reserved than there is, whatever is idle is asked back, once', (t) => {
  const others = [lease('a', 7), lease('b', 7, 'asked'), lease('c', 7, 'answered'), lease('d', 0)];
  const asked = (credits: number, mine: LeaseAsk) =>
    allot(books(credits, others), [mine], me, 5).asked.map(({ instance }) => instance);
  t.same(asked(-4, ask({ emptied: true })), ['a']);
  t.same(asked(20, ask({ keep: 3 })), ['a', me], 'what is kept beyond the balance may be idle too');
  t.same(asked(20, ask({ keep: 3, emptied: true })), ['a']);
  t.same(asked(24, ask({ keep: 3 })), [], 'what there is covers what is reserved');
  t.end();
});

t.test('a message that empties a lease marks it answered, a grant takes the mark away', (t) => {
  const asked = [lease(me, 50, 'asked')];
  t.match(allot(books(100, asked), [ask({ keep: 20, emptied: true })], me, 1).own, [
    { amount: 20, recall: 'answered' },
  ]);
  t.match(allot(books(100, asked), [ask({ keep: 50 })], me, 1).own, [{ amount: 50, recall: 'asked' }]);
  t.match(allot(books(100, asked), [ask({ keep: 0, need: 5, emptied: true })], me, 1).own, [{ amount: 5, recall: '' }]);
  t.end();
});

t.test('what one lease of a message gives up is free for the others of the same message', (t) => {
  const own = [lease(me, 90)];
  const asks = [ask({ keep: 0, emptied: true }), ask({ key: 'k', need: 60, emptied: true })];
  const { answers } = allot(books(100, own, { k: 1000 }), asks, me, 1);
  t.match(
    answers.find(({ key }) => key === 'k'),
    { amount: 60, answer: 'ok' },
  );
  t.end();
});

t.test("a limited key gets no more than its limit leaves, whoever holds the key's other leases", (t) => {
  const others = [lease('other', 30, '', 'k')];
  const { answers, asked } = allot(books(1000, others, { k: 35 }), [ask({ key: 'k', need: 10 })], me, 2);
  t.match(answers, [{ answer: 'again', short: 'key' }]);
  t.match(asked, [{ instance: 'other', key: 'k' }]);
  const alone = allot(books(1000, [lease('other', 500)], { k: 35 }), [ask({ key: 'k', need: 36 })], me, 2);
  t.match(
    alone,
    { answers: [{ answer: 'no', short: 'key' }], asked: [] },
    "the user's own lease is none of its business",
  );
  t.end();
});

t.test('a key that the store does not know gets nothing', (t) => {
  t.match(allot(books(1000), [ask({ key: 'gone', need: 1 })], me, 1).answers, [{ answer: 'no', short: 'key' }]);
  t.end();
});

t.test('whatever is asked, live leases never add up to more than the credits, nor a key past its limit', (t) => {
  let seed = 20_260_101;
  const random = (below: number) => {
    // Park and Miller's generator: the same cases on every run.
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  for (let round = 0; round < 20_000; round++) {
    const others = [lease('a', random(50), recallOf(random(3))), lease('b', random(50), recallOf(random(3)), 'k')];
    const mine = [lease(me, random(50)), lease(me, random(50), '', 'k')];
    const reserved = [...others, ...mine].reduce((sum, { amount }) => sum + amount, 0);
    const ofKey = (others[1]?.amount ?? 0) + (mine[1]?.amount ?? 0);
    const state = books(reserved + random(100), [...others, ...mine], { k: ofKey + random(60) });
    const asks = mine.map(({ key, amount }) => ({
      ...ask({ key, keep: random(amount + 1), need: random(2) * random(40), want: random(200) }),
      emptied: random(2) === 1,
    }));
    const { own, answers } = allot(state, asks, me, 1 + random(5));
    const after = [...others, ...own];
    if (after.reduce((sum, { amount }) => sum + amount, 0) > state.credits) t.fail(`round ${round} oversold`);
    const keyAfter = after.filter(({ key }) => key === 'k').reduce((sum, { amount }) => sum + amount, 0);
    if (keyAfter > (state.keyCredits.get('k') ?? 0)) t.fail(`round ${round} went past the key's limit`);
    for (const answer of answers) {
      const asked = asks.find(({ key }) => key === answer.key);
      if (answer.answer === 'ok' && answer.amount < (asked?.keep ?? 0) + (asked?.need ?? 0))
        t.fail(`round ${round} broke an ok`);
    }
  }
  t.pass('20,000 rounds');
  t.end();
});

function ask(over: Partial<LeaseAsk>): LeaseAsk {
  return { user: 'u', key: '', keep: 0, need: 0, want: 0, emptied: false, ...over };
}

function lease(instance: string, amount: number, recall: Recall = '', key = ''): LiveLease {
  return { key, instance, amount, recall };
}

function books(credits: number, leases: LiveLease[] = [], keyCredits: Record<string, number> = {}): Books {
  return { credits, leases, keyCredits: new Map(Object.entries(keyCredits)) };
}

function recallOf(index: number): Recall {
  return (['', 'asked', 'answered'] as const)[index] ?? '';
}

function amountOf({ answers }: ReturnType<typeof allot>): number | undefined {
  return answers[0]?.amount;
}
