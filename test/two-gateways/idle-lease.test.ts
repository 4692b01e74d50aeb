import t from 'tap';
import { dialects } from '../helpers/databases.ts';
import type { TestGateway } from '../helpers/gateways.ts';
import { until } from '../helpers/until.ts';
import { callOnce, closeAndAudit, startTwo } from './two-gateways.ts';

const callersMax = 64;

for (const dialect of dialects) {
  t.test(
    `${dialect}: 30 calls on one instance and then 5,100 on the other, out of 5,000: exactly 4,970 pass there`,
    async (t) => {
      const [first, second] = await startTwo(t, dialect);
      const key = await first.newKey('u', 5_000);
      for (let call = 0; call < 30; call++) t.equal(await callOnce(first, key), 200);
      await until(
        () => leasedBy(first),
        (credits) => credits > 0,
      );
      t.same(await statusesOf(second, key, 5_100), { 200: 4_970, 402: 130 }, 'what idled at the first is sold too');
      t.equal(second.upstream.seen.length, 4_970);
      await closeAndAudit(t, [first, second], 0);
    },
  );
}

/** Makes so many calls, some at a time; how many answers of each status. */
async function statusesOf(gate: TestGateway, key: string, calls: number): Promise<Record<number, number>> {
  const counts: Record<number, number> = {};
  let left = calls;
  const callInTurn = async () => {
    while (left > 0) {
      left -= 1;
      const status = await callOnce(gate, key);
      counts[status] = (counts[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: callersMax }, callInTurn));
  return counts;
}

/** Credits that the gateway has reserved in the store. */
async function leasedBy({ gateway }: TestGateway): Promise<number> {
  const metrics = await (await fetch(`${gateway.opsAddress}/metrics`)).text();
  return Number(/^tollgate_leased_credits (\d+)$/m.exec(metrics)?.[1]);
}
