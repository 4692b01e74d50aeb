import t from 'tap';
import { openLease } from '../../src/meter/lease.ts';
import { type Line, refuseLine, rememberedRefusal } from '../../src/meter/line.ts';

t.test('a no of the store is remembered for half a second, and for calls of that cost or more', async (t) => {
  const account = { user: 'u', balance: 6, held: 0, unsent: 0, leases: 1 };
  const line: Line = { lease: openLease(account, '', 0), waiting: [], isRecalled: false, refusal: null };
  t.equal(rememberedRefusal(line, 7, 1_000), null);
  refuseLine(line, 7, 'user', 1_000);
  for (const cost of [7, 8]) {
    const facts = { required: cost, remaining: 6 };
    t.match(rememberedRefusal(line, cost, 1_499), { code: 'TG_CREDITS_INSUFFICIENT', facts });
  }
  t.equal(rememberedRefusal(line, 6, 1_000), null, 'a smaller call asks the store');
  t.equal(rememberedRefusal(line, 7, 1_500), null, 'and then every call does');
});

t.test(
  'a no of the store that is heard late holds for who had come when it was asked, and for nobody since',
  async (t) => {
    const account = { user: 'u', balance: 6, held: 0, unsent: 0, leases: 1 };
    const refused: string[] = [];
    const callAt = (sinceMs: number, name: string) => ({
      cost: 7,
      sinceMs,
      admit: () => {},
      refuse: () => refused.push(name),
    });
    const waiting = [
      callAt(900, 'before'),
      callAt(1_499, 'soon after'),
      callAt(1_500, 'later'),
      callAt(16_000, 'last'),
    ];
    const line: Line = { lease: openLease(account, '', 0), waiting, isRecalled: false, refusal: null };
    refuseLine(line, 7, 'user', 1_000);
    t.same(refused, ['before', 'soon after']);
    t.equal(line.waiting.length, 2, 'the store is asked for them');
    t.equal(rememberedRefusal(line, 7, 16_000), null);
  },
);
