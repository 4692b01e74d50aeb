import t from 'tap';
import { brokenFiles, copyProgram } from './broken-program.ts';
import { mutants } from './mutants.ts';

t.test('every way in which the meter is broken on purpose can still be made', async (t) => {
  for (const mutant of mutants) t.ok((await brokenFiles(mutant)).size > 0, mutant.name);
  await t.rejects(
    brokenFiles({ name: 'm', dialect: 'sqlite', edits: [{ file: 'meter/lease.js', find: 'no such', replace: '' }] }),
    { message: 'm: "no such" is found 0 times in meter/lease.js' },
  );
});

// All of them take minutes: `npm run test:mutants`.
for (const name of ['a release is forgotten', 'known charges are posted again']) {
  t.test(`the simulation notices that ${name}`, async (t) => {
    const mutant = mutants.find((one) => one.name === name);
    if (mutant === undefined) throw new Error(`no mutant is called ${name}`);
    const program = await copyProgram();
    t.teardown(() => program.remove());
    const { broken } = await program.simulate(mutant, { dialect: 'sqlite', seed: 1, seconds: 30 });
    t.ok(broken, 'a promise was broken');
    for (const { promise, message } of broken?.violations ?? []) t.comment(`${promise}: ${message}`);
  });
}
