import t from 'tap';
import { KnownCallers, type LookUp } from '../../src/identity/known-callers.ts';
import type { CallerIdentity } from '../../src/store/identities.ts';
import { until } from '../helpers/until.ts';

const ann: CallerIdentity = {
  userId: 'ann',
  keyId: 'key_1',
  hasKeyLimit: false,
  isBlocked: false,
  goodUntil: null,
  issuer: null,
  scopes: null,
};

t.test('a caller is asked about once, and again when the user or the key has changed', async (t) => {
  const { callers, answers } = open();
  const asked = [callers.find('h', 'c'), callers.find('h', 'c')];
  answers.shift()?.(ann);
  t.same(await Promise.all(asked), [ann, ann]);
  t.equal(callers.find('h', 'c'), ann);
  callers.forget([{ id: 1, kind: 'user', ref: 'bob' }]);
  t.equal(callers.find('h', 'c'), ann);
  for (const change of [{ kind: 'user', ref: 'ann' } as const, { kind: 'key', ref: 'key_1' } as const]) {
    callers.forget([{ id: 2, ...change }]);
    const again = callers.find('h', 'c');
    t.ok(again instanceof Promise);
    answers.shift()?.(ann);
    await again;
  }
  t.equal(answers.length, 0);
});

t.test('what was asked before a change is neither kept nor joined, be it a caller or nobody', async (t) => {
  for (const stale of [ann, null]) {
    const { callers, answers } = open();
    const before = callers.find('h', 'c');
    callers.forget([{ id: 1, kind: 'user', ref: 'ann' }]);
    const after = callers.find('h', 'c');
    t.equal(answers.length, 2, 'it is asked anew');
    answers[0]?.(stale);
    t.equal(await before, stale);
    t.ok(callers.find('h', 'c') instanceof Promise, 'the stale word is not kept');
    answers[1]?.({ ...ann, isBlocked: true });
    await after;
    t.match(callers.find('h', 'c'), { isBlocked: true });
  }
});

t.test('a thousand look-ups are under way at most, forgotten ones included', async (t) => {
  const { callers, answers } = open();
  const asked = Array.from({ length: 1_000 }, (_, i) => callers.find(`h${i}`, 'c'));
  t.throws(() => callers.find('one more', 'c'), { code: 'TG_OVERLOADED' });
  callers.forgetAll();
  t.throws(() => callers.find('one more', 'c'), { code: 'TG_OVERLOADED' });
  for (const answer of answers.splice(0)) answer(null);
  await Promise.all(asked);
  const next = callers.find('one more', 'c');
  answers.shift()?.(ann);
  t.equal(await next, ann);
});

t.test('the last word on a caller spares asking for five seconds, and no longer', async (t) => {
  const blocked = { ...ann, isBlocked: true };
  // Either the look-up itself knows no better, as where a provider was asked, or the store did not answer it.
  const lookUps: Record<string, LookUp> = {
    'of a look-up': async () => ({ lastWord: blocked }),
    'of whoever stands in': () => Promise.reject(new Error('nobody is there')),
  };
  const standIn = { isStoreUp: () => true, find: () => blocked, note: () => t.fail('the store has said nothing') };
  for (const [whose, lookUp] of Object.entries(lookUps)) {
    await t.test(whose, async (t) => {
      const now = performance.now.bind(performance);
      let laterMs = 0;
      t.intercept(performance, 'now', { value: () => now() + laterMs });
      const asked: string[] = [];
      const look: LookUp = (credential, hash) => {
        asked.push(hash);
        return lookUp(credential, hash);
      };
      const callers = new KnownCallers(look, undefined, standIn);
      const isAskedAbout = (hash: string) => callers.find(hash, 'c') instanceof Promise;
      t.equal(await callers.find('early', 'c'), blocked);
      t.equal(callers.find('early', 'c'), blocked, 'at once');
      laterMs = 4_000;
      t.equal(await callers.find('late', 'c'), blocked);
      laterMs = 5_001;
      await until(
        () => isAskedAbout('early'),
        (is) => is,
      );
      t.equal(callers.find('late', 'c'), blocked);
      t.same(asked, ['early', 'late', 'early']);
      laterMs = 9_001;
      await until(
        () => isAskedAbout('late'),
        (is) => is,
      );
    });
  }
});

/** Look-ups wait until the test answers them, in their order. */
function open() {
  const answers: ((caller: CallerIdentity | null) => void)[] = [];
  const callers = new KnownCallers(() => new Promise((resolve) => answers.push(resolve)));
  return { callers, answers };
}
