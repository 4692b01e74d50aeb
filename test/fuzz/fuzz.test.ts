import t from 'tap';
import { runFuzz } from './run.ts';

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

t.test('malformed and cut requests leave the process alive, no hold open and the books right', async (t) => {
  t.comment(`FUZZ_SEED=${seed}`);
  const { answers, spent, broken } = await runFuzz({ requests: 2_000, seed });
  t.same(broken, []);
  t.ok(answers['400'], 'some requests were refused');
  t.ok(spent > 0, 'and some were good after all, and charged');
});
