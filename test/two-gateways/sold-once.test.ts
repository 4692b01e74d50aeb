import t from 'tap';
import { dialects } from '../helpers/databases.ts';
import type { TestGateway } from '../helpers/gateways.ts';
import { callOnce, closeAndAudit, startTwo } from './two-gateways.ts';

const callersEach = 64;

for (const dialect of dialects) {
  t.test(`${dialect}: two instances with 64 callers each sell exactly 1,000 of 1,000 credits`, async (t) => {
    const gates = await startTwo(t, dialect);
    const key = await gates[0].newKey('u', 1_000);
    const callers = gates.flatMap((gate) => Array.from({ length: callersEach }, () => callUntilRefused(gate, key)));
    t.equal(sumOf(await Promise.all(callers)), 1_000);
    const reached = gates.map(({ upstream }) => upstream.seen.length);
    t.equal(sumOf(reached), 1_000, 'nothing else reached an upstream');
    t.ok(
      reached.every((calls) => calls > 0),
      'both sold some',
    );
    await closeAndAudit(t, gates, 0);
  });
}

/** Calls until the answer is 402, and gives how many calls were delivered. */
async function callUntilRefused(gate: TestGateway, key: string): Promise<number> {
  for (let delivered = 0; ; delivered++) {
    const status = await callOnce(gate, key);
    if (status === 402) return delivered;
    if (status !== 200) throw new Error(`answered ${status}`);
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
