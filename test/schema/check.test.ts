import t from 'tap';
import { configSchema } from '../../src/config/schema.ts';
import { checkOf, fits } from '../../src/schema/check.ts';
import { type TSchema, Type } from '../../src/schema/type.ts';

const body = Type.Object(
  {
    name: Type.String({ default: 'key', maxLength: 3 }),
    limit: Type.Optional(Type.Union([Type.Integer({ minimum: 1 }), Type.Null()])),
  },
  { additionalProperties: false },
);

t.test('nothing is converted to fit', async (t) => {
  const strict: [schema: TSchema, misfits: unknown[]][] = [
    [Type.Integer(), ['1', 1.5, true, null, Number.NaN, Number.POSITIVE_INFINITY]],
    [Type.Boolean(), ['true', 1, 0, null]],
    [Type.String(), [1, false, null, ['a']]],
    [Type.Null(), ['', 0, false]],
    [body, [[], null, 'text', { limit: '5' }]],
  ];
  for (const [schema, misfits] of strict) {
    for (const value of misfits) t.notOk(fits(schema, value), `${JSON.stringify(schema)}: ${JSON.stringify(value)}`);
  }
});

t.test('characters are those of Unicode, not halves of them', async (t) => {
  t.ok(fits(Type.String({ maxLength: 2 }), '😀😀'));
  t.notOk(fits(Type.String({ pattern: '^[^\\p{Cs}]$' }), '\ud800'));
});

t.test('members that are absent get their defaults', async (t) => {
  const check = checkOf(body);
  t.same(check({}), { value: { name: 'key' } });
  t.same(check({ name: 'abc', limit: null }), { value: { name: 'abc', limit: null } });
});

t.test('what does not fit is told with its place, and stays there', async (t) => {
  const check = checkOf(body);
  t.match(check({ name: 'abcd' }), { error: [{ instancePath: '/name', message: /3 characters/ }] });
  const sent = { more: 1 };
  t.match(check(sent), { error: [{ instancePath: '', message: /additional properties/ }] });
  t.equal(sent.more, 1);
});

t.test('a keyword that nobody checks is refused when the check is made', async (t) => {
  const message = /unknown keyword: "minLenght"/;
  t.throws(() => checkOf(Type.Object({ a: Type.String({ minLenght: 1 }) })), { message });
  t.throws(() => fits(Type.Union([Type.String({ minLenght: 1 })]), 'a'), { message });
});

t.test('the schema of the configuration has no keyword that is refused', async (t) => {
  t.doesNotThrow(() => fits(configSchema, {}));
});
