// Two hundred calls at once, each with an ending drawn at random. What they cost together is known before they begin;
// afterwards the balance, the ledger and the holds have to say so. ENDINGS_SEED repeats a run.

import type { IncomingMessage, RequestListener } from 'node:http';
import t, { type Test } from 'tap';
import { auditBalances } from '../../src/store/history.ts';
import { findUser } from '../../src/store/users.ts';
import { type Dialect, dialects } from '../helpers/databases.ts';
import { startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { randomFrom } from '../helpers/random.ts';
import { until } from '../helpers/until.ts';
import { bodyBytesMax, type Ending, endings } from './endings.ts';
import { Exchange } from './exchange.ts';

const callsMax = 200;
const startingCredits = 5000;
const costs = [0, 1, 7] as const;
const seed = Number(process.env['ENDINGS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

interface Call {
  readonly requestId: string;
  readonly ending: Ending;
  readonly cost: number;
}

for (const dialect of dialects) {
  t.test(`${dialect}: ${callsMax} calls of every ending, at random, cost what the charging table says`, async (t) => {
    t.comment(`ENDINGS_SEED=${seed}`);
    const calls = drawCalls(seed);
    const exchanges = new Map<string, Exchange>();
    const gate = await startGate(t, dialect, calls, exchanges);
    const key = await gate.newKey('u', startingCredits);
    const port = Number(new URL(gate.gateway.address).port);
    const made = calls.map(async ({ requestId, ending, cost }) => {
      const exchange = new Exchange({ port, path: `/cost-${cost}`, key, requestId });
      exchanges.set(requestId, exchange);
      await ending.caller(exchange).catch(({ message }) => t.fail(`${requestId}, ${ending.name}: ${message}`));
      return exchange;
    });
    // Callers who stay are gone only now: for an upgrade, and for an answer that was early, that is the end.
    for (const exchange of await Promise.all(made)) exchange.leave();
    await untilNoHold(gate);
    t.same(await gate.gateway.close(), { chargesLeft: 0 });

    const charged = calls.filter(({ ending, cost }) => ending.ended !== null && cost > 0);
    t.same(await chargesOf(gate), tableOf(charged), 'the ledger has the charges of the table, and how they ended');
    const spent = charged.reduce((sum, { cost }) => sum + cost, 0);
    t.equal((await findUser(gate.test.database.db, 'u')).credits, startingCredits - spent);
    for await (const { differences } of auditBalances(gate.test.database.db)) t.same(differences, []);
  });
}

/** Every ending at least once, the rest at random, in random order. */
function drawCalls(seed: number): Call[] {
  const random = randomFrom(seed);
  const waiting: Ending[] = [...endings];
  return Array.from({ length: callsMax }, (_, index) => {
    const mustBeDrawn = callsMax - index <= waiting.length;
    const [drawn] = mustBeDrawn || random.percent(50) ? waiting.splice(random.below(waiting.length), 1) : [];
    return { requestId: `call-${index}`, ending: drawn ?? random.of(endings), cost: random.of(costs) };
  });
}

function startGate(
  t: Test,
  dialect: Dialect,
  calls: readonly Call[],
  exchanges: ReadonlyMap<string, Exchange>,
): Promise<TestGateway> {
  const routes = costs.map((cost) => `  - { path: /cost-${cost}, upstream: api, cost: ${cost}, readTimeout: 4s }`);
  const answer: RequestListener = (request, response) => {
    const { ending, exchange } = find(request);
    exchange.take(request, response, ending.isBodyLeft !== true);
    ending.upstream?.(response, exchange);
  };
  const find = ({ headers }: IncomingMessage) => {
    const requestId = String(headers['x-request-id']);
    const ending = calls.find((call) => call.requestId === requestId)?.ending;
    const exchange = exchanges.get(requestId);
    if (ending === undefined || exchange === undefined) throw new Error(`no call is ${requestId}`);
    return { ending, exchange };
  };
  const starting = startTestGateway(t, dialect, routes.join('\n'), answer, {
    server: `maxBodySize: ${bodyBytesMax}b`,
    upstream: 'responseHeaderTimeout: 6s',
  });
  return starting.then((gate) => {
    gate.upstream.server.on('upgrade', (request, socket) => {
      socket.on('error', () => {});
      socket.end(find(request).ending.upgrade ?? '');
    });
    return gate;
  });
}

async function untilNoHold({ gateway: { opsAddress } }: TestGateway): Promise<void> {
  const holdsOpen = async () => {
    const metrics = await (await fetch(`${opsAddress}/metrics`)).text();
    return Number(/^tollgate_holds_open (\d+)$/m.exec(metrics)?.[1]);
  };
  await until(holdsOpen, (open) => open === 0);
}

/** Request id → what it says of the charge. */
async function chargesOf({ test }: TestGateway): Promise<Record<string, unknown>> {
  const charges = test.database.db.selectFrom('ledger').where('kind', '=', 'charge');
  const rows = await charges.select(['request_id', 'amount', 'ended']).execute();
  return Object.fromEntries(rows.map(({ request_id, amount, ended }) => [request_id, { amount, ended }]));
}

const tableOf = (calls: readonly Call[]) =>
  Object.fromEntries(calls.map(({ requestId, cost, ending: { ended } }) => [requestId, { amount: -cost, ended }]));
