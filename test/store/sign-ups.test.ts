import t from 'tap';
import type { Db } from '../../src/store/database.ts';
import { type Person, resolveUser } from '../../src/store/sign-ups.ts';
import { blockUser, findUser } from '../../src/store/users.ts';
import { dialects, migratedDatabase, openAgain } from '../helpers/databases.ts';
import { amountsOf, userWith } from '../helpers/users.ts';

const terms = { plan: 'Gold', credits: 70, actor: 'sign-in:acme' };
const ann: Person = {
  issuer: 'https://accounts.example',
  subject: 'a#1',
  email: 'ann@b.example',
  name: 'Ann',
  picture: 'https://b.example/ann.png',
};

for (const dialect of dialects) {
  t.test(`${dialect}: a person who is new becomes a user with the starting credits and one signup entry`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const made = await resolveUser(db, ann, terms);
    t.match(made, { isBlocked: false, signedUpWith: 70 });
    t.match(await rowOf(db, made.userId), { email: ann.email, name: 'Ann', picture: ann.picture, plan: 'Gold' });
    t.match(await db.selectFrom('ledger').selectAll().execute(), [
      { user_id: made.userId, kind: 'signup', amount: 70, actor: 'sign-in:acme' },
    ]);
    t.same(await resolveUser(db, ann, terms), {
      userId: made.userId,
      isBlocked: false,
      signedUpWith: null,
      isClaimed: false,
    });
    t.same(await amountsOf(db, made.userId), [70], 'coming again brings nothing');
    t.equal((await findUser(db, 'https://accounts.example#a#1')).id, made.userId, 'operators find them by identity');
  });

  t.test(`${dialect}: twenty first calls at once make one user with one signup entry`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const dbs = [test.database.db, openAgain(t, test).db];
    const tries = Array.from({ length: 20 }, (_, i) => resolveUser(dbs[i % 2] as Db, ann, terms));
    const users = await Promise.all(tries);
    t.equal(new Set(users.map(({ userId }) => userId)).size, 1);
    t.equal(users.filter(({ signedUpWith }) => signedUpWith !== null).length, 1);
    t.same(await amountsOf(test.database.db, users[0]?.userId ?? ''), [70]);
  });

  t.test(`${dialect}: the same subject of another issuer is somebody else`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const first = await resolveUser(db, ann, terms);
    const other = await resolveUser(db, { ...ann, issuer: 'https://other.example' }, terms);
    t.not(other.userId, first.userId);
    t.match(await rowOf(db, other.userId), { email: null }, 'and does not get the address of the first');
    t.match(await rowOf(db, first.userId), { email: ann.email });
  });

  t.test(`${dialect}: a user whom an operator made with the address is theirs, once, with what it holds`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const { db } = test.database;
    const prepared = await userWith(db, 5, 'ANN@b.example');
    const others = Array.from({ length: 8 }, (_, i) => ({ ...ann, subject: `s${i}` }));
    const dbs = [db, openAgain(t, test).db];
    const users = await Promise.all(others.map((person, i) => resolveUser(dbs[i % 2] as Db, person, terms)));
    t.equal(users.filter(({ userId }) => userId === prepared.id).length, 1, 'one of them claims it');
    t.equal(users.filter(({ signedUpWith }) => signedUpWith === null).length, 1, 'and gets no credits on top');
    t.equal(users.find(({ isClaimed }) => isClaimed)?.userId, prepared.id);
    t.same(await amountsOf(db, prepared.id), [5]);
    t.match(await rowOf(db, prepared.id), { name: 'Ann', email: 'ANN@b.example' });
  });

  t.test(`${dialect}: an address that the issuer does not vouch for leads to nobody`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const prepared = await userWith(db, 5, 'ann@b.example');
    const made = await resolveUser(db, { ...ann, email: null }, terms);
    t.not(made.userId, prepared.id);
    t.match(await rowOf(db, made.userId), { email: null, name: 'Ann' });
  });

  t.test(`${dialect}: name, picture and address stay fresh, and an address that is taken stays away`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { userId } = await resolveUser(db, ann, terms);
    await resolveUser(db, { ...ann, name: 'Ann Lee', picture: null, email: 'lee@b.example' }, terms);
    t.match(await rowOf(db, userId), { name: 'Ann Lee', picture: ann.picture, email: 'lee@b.example' });
    await userWith(db, 5, 'taken@b.example');
    await resolveUser(db, { ...ann, email: 'Taken@b.example' }, terms);
    t.match(await rowOf(db, userId), { name: 'Ann', email: 'lee@b.example' });
    await resolveUser(db, { ...ann, name: null, email: null }, terms);
    t.match(await rowOf(db, userId), { name: 'Ann', email: 'lee@b.example' }, 'what is not said stays');
  });

  t.test(`${dialect}: two whose addresses become the same at once both go on, and one has it`, async (t) => {
    const test = await migratedDatabase(t, dialect);
    const dbs = [test.database.db, openAgain(t, test).db] as const;
    const people = ['s1', 's2'].map((subject) => ({ ...ann, subject, email: `${subject}@b.example` }));
    for (const person of people) await resolveUser(dbs[0], person, terms);
    for (let i = 0; i < 20; i++) {
      const moving = people.map((person) => ({ ...person, name: `${i}`, email: `new${i}@b.example` }));
      await Promise.all(moving.map((person, at) => resolveUser(dbs[at] ?? dbs[0], person, terms)));
    }
    const rows = await dbs[0].selectFrom('users').select(['name', 'email']).orderBy('email').execute();
    t.same(
      rows.map(({ name }) => name),
      ['19', '19'],
    );
    t.equal(rows.filter(({ email }) => email === 'new19@b.example').length, 1);
  });

  t.test(`${dialect}: a user who is blocked is known as blocked`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { userId } = await resolveUser(db, ann, terms);
    await blockUser(db, userId);
    t.match(await resolveUser(db, ann, terms), { userId, isBlocked: true, signedUpWith: null });
  });

  t.test(`${dialect}: gateways are told of an identity that is taken away, and it goes with its user`, async (t) => {
    const { db } = (await migratedDatabase(t, dialect)).database;
    const { userId } = await resolveUser(db, ann, { ...terms, credits: 0 });
    await db.deleteFrom('changes').execute();
    await db.deleteFrom('identities').execute();
    t.match(await db.selectFrom('changes').selectAll().execute(), [{ kind: 'user', ref: userId }]);
    const again = await resolveUser(db, { ...ann, email: null }, { ...terms, credits: 0 });
    t.not(again.userId, userId);
    await db.deleteFrom('users').where('id', '=', again.userId).execute();
    t.same(await db.selectFrom('identities').selectAll().execute(), []);
  });
}

function rowOf(db: Db, id: string) {
  return db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}
