import t from 'tap';
import { Crowd, type Member } from '../src/crowd.ts';

interface Person extends Member {
  readonly name: string;
}

function person(name: string): Person {
  return { name, place: -1 };
}

t.test('whoever comes is there until it goes, and goes once', (t) => {
  const crowd = new Crowd<Person>();
  const [a, b, c] = [person('a'), person('b'), person('c')];
  for (const each of [a, b, c]) crowd.add(each);
  t.equal(crowd.delete(a), true, 'the first');
  t.equal(crowd.delete(a), false);
  t.same(namesIn(crowd), ['b', 'c']);
  t.equal(crowd.delete(c), true);
  t.equal(crowd.delete(b), true, 'the last');
  t.equal(crowd.size, 0);
  crowd.add(a);
  t.same(namesIn(crowd), ['a'], 'and may come again');
  t.end();
});

t.test('who never was there, or stands at the same place elsewhere, is not taken for a member', (t) => {
  const [crowd, other] = [new Crowd<Person>(), new Crowd<Person>()];
  const [a, b] = [person('a'), person('b')];
  crowd.add(a);
  other.add(b);
  t.equal(crowd.delete(b), false);
  t.equal(crowd.delete(person('c')), false);
  t.same([...namesIn(crowd), ...namesIn(other)], ['a', 'b']);
  t.end();
});

function namesIn(crowd: Crowd<Person>): string[] {
  return crowd
    .values()
    .map(({ name }) => name)
    .sort();
}
