// `npm run test:bare`: the proxy suite against a bare @fastify/http-proxy. It prints what became of each promise, and fails
// when a case failed that is not listed as an expected failure, or when a listed one did not. Arguments: the names of cases;
// without any, all.

import { openBare, ProxyDied } from './bare/bare-subject.ts';
import { expectedFailures } from './bare/expected-failures.ts';
import { allCases } from './cases/all-cases.ts';
import { type ProxyCase, runCase } from './proxy-case.ts';

const caseMsMax = 10_000;

type Ending = 'held' | 'failed' | 'died';

const names = new Set(process.argv.slice(2));
const unknown = [...names, ...Object.keys(expectedFailures)].filter((name) =>
  allCases.every((each) => each.name !== name),
);
if (unknown.length > 0) {
  console.error(`no such case: ${unknown.join('; ')}`);
  process.exit(2);
}

const totals: Record<Ending, number> = { held: 0, failed: 0, died: 0 };
const surprises: string[] = [];
for (const proxyCase of allCases) {
  const { name } = proxyCase;
  if (names.size > 0 && !names.has(name)) continue;
  const { ending, fault } = await endingOf(proxyCase);
  totals[ending] += 1;
  console.log(`${ending.padEnd(6)}  ${name}`);
  const why = expectedFailures[name];
  if (ending === 'held' && why !== undefined) surprises.push(`${name}: held, and was expected to fail: ${why}`);
  if (ending !== 'held' && why === undefined) surprises.push(`${name}: ${fault}`);
  if (ending !== 'held' && why !== undefined) console.log(`        ${why}`);
}
console.log(
  `\nTollgate promises ${totals.held + totals.failed + totals.died}. Bare @fastify/http-proxy: ${totals.held} held, ${totals.failed} failed, ${totals.died} died.`,
);
for (const surprise of surprises) console.error(`not as expected: ${surprise}`);
process.exit(surprises.length === 0 ? 0 : 1);

async function endingOf(proxyCase: ProxyCase): Promise<{ ending: Ending; fault: string }> {
  try {
    await runCase(proxyCase, caseMsMax, openBare);
    return { ending: 'held', fault: '' };
  } catch (error) {
    return { ending: error instanceof ProxyDied ? 'died' : 'failed', fault: (error as Error).message };
  }
}
