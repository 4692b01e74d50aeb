import { sql } from 'kysely';
import t from 'tap';
import { dialects } from '../helpers/databases.ts';
import { startTestGateway } from '../helpers/gateways.ts';
import { until } from '../helpers/until.ts';

for (const dialect of dialects) {
  t.test(
    `${dialect}: a balance that is not the sum of its ledger shows in the metric, and once in the log`,
    async (t) => {
      const gate = await startTestGateway(t, dialect, '  - { path: /, upstream: api }');
      await gate.newKey('u', 100);
      const drift = async () => {
        const metrics = await (await fetch(`${gate.gateway.opsAddress}/metrics`)).text();
        return /^tollgate_ledger_drift (\d+)$/m.exec(metrics)?.[1];
      };
      t.equal(await drift(), '0');
      const { db } = gate.test.database;
      await sql`INSERT INTO ledger (id, user_id, kind, amount) VALUES ('less', 'u', 'adjustment', -7)`.execute(db);
      await until(drift, (credits) => credits === '7');
      await sql`INSERT INTO ledger (id, user_id, kind, amount) VALUES ('more', 'u', 'adjustment', 7)`.execute(db);
      await until(drift, (credits) => credits === '0');
      const told = gate.log.filter((line) => line['level'] === 'error');
      t.match(told, [{ user: 'u', credits: 100, ledger: 93 }]);
    },
  );
}
