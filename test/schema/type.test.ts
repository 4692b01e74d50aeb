import t from 'tap';
import Box from 'typebox';
import { Type } from '../../src/schema/type.ts';

t.test('what the makers make is what TypeBox makes', async (t) => {
  const made = (make: typeof Type) => [
    make.String(),
    make.String({ pattern: '^a$', default: 'a' }),
    make.Integer({ minimum: 1 }),
    make.Boolean({ description: 'whether' }),
    make.Null(),
    make.Enum(['a', 'b'], { default: 'a' }),
    make.Union([make.String(), make.Null()], { description: 'either' }),
    make.Array(make.Integer(), { minItems: 1 }),
    make.Record(make.String(), make.Boolean()),
    make.Record(make.String({ pattern: '^[a-z]+$' }), make.Boolean(), { description: 'flags' }),
    make.Optional(make.String({ maxLength: 3 })),
    make.Object({}),
    make.Object({ a: make.Optional(make.String()) }),
    make.Object(
      { a: make.Optional(make.String()), b: make.Object({ c: make.Integer() }), d: make.Null() },
      { additionalProperties: false },
    ),
  ];
  // As text, so that the order of the keywords counts too: the schema for editors is compared by its text.
  for (const [i, schema] of made(Box).entries()) t.equal(JSON.stringify(made(Type)[i]), JSON.stringify(schema));
});

t.test('a schema that may be left out is another one, and the same to look at', async (t) => {
  const text = Type.String();
  t.same(Type.Optional(text), text);
  t.same(Type.Object({ text }), Box.Object({ text: Box.String() }), 'what was given stays needed');
});
