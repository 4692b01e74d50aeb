import t from 'tap';
import { GatewayProcess } from '../helpers/gateway-process.ts';
import { until } from '../helpers/until.ts';
import { startUpstream } from '../helpers/upstreams.ts';

const callers = 8;
const callsEach = 60;

t.test('a gateway that is killed has charged what it answered, but for the calls in flight', async (t) => {
  const upstream = await startUpstream(t);
  const gateway = await GatewayProcess.start(upstream.url);
  t.teardown(() => gateway.remove());
  let answered = 0;
  for (const crash of [1, 2]) {
    let isOver = false;
    const callInTurn = async () => {
      for (let calls = 0; calls < callsEach && !isOver; calls++) {
        const status = await gateway.call('/').catch(() => null);
        if (status === null) return;
        if (status === 200) answered += 1;
        if (answered >= (crash * callers * callsEach) / 2) isOver = true;
      }
    };
    const calls = Promise.all(Array.from({ length: callers }, callInTurn));
    await until(
      () => isOver,
      (isTime) => isTime,
    );
    await gateway.crash();
    await calls;
    t.equal(await gateway.call('/'), 200, 'it goes on');
    answered += 1;
  }
  await until(
    () => gateway.metric('tollgate_journal_charges'),
    (charges) => charges === 0,
  );
  t.equal(await gateway.stop(), 0);
  const { booked } = await gateway.spent();
  t.ok(answered >= callers * callsEach);
  t.ok(booked >= answered - 2 * callers, `${booked} of ${answered} calls were charged`);
  t.ok(booked <= answered + 2 * callers, `${booked} of ${answered} calls were charged`);
  t.same(gateway.complaints, []);
});
