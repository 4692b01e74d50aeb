// What schemas are made with: those makers of TypeBox that are used here, with its types and without its code, of which every
// start would load 700 files. What they make is JSON Schema and nothing else, as TypeBox makes it.

import type Box from 'typebox';
import type { TSchema } from 'typebox';

export type { Static, TSchema } from 'typebox';

type Options = Readonly<Record<string, unknown>>;

/** How a property that may be left out is told; not enumerable, so that no schema shows it. */
const optional = '~optional';

const makers = {
  String: (options?: Options) => ({ type: 'string', ...options }),
  Integer: (options?: Options) => ({ type: 'integer', ...options }),
  Number: (options?: Options) => ({ type: 'number', ...options }),
  Boolean: (options?: Options) => ({ type: 'boolean', ...options }),
  Null: () => ({ type: 'null' }),
  Enum: (values: readonly string[], options?: Options) => ({ enum: values, ...options }),
  Union: (anyOf: readonly TSchema[], options?: Options) => ({ anyOf, ...options }),
  Array: (items: TSchema, options?: Options) => ({ type: 'array', items, ...options }),
  Record: ({ pattern = '^.*$' }: { pattern?: string }, value: TSchema, options?: Options) => ({
    type: 'object',
    patternProperties: { [pattern]: value },
    ...options,
  }),
  Object: (properties: Record<string, TSchema>, options?: Options) => {
    const required = Object.keys(properties).filter((name) => !Object.hasOwn(properties[name] ?? {}, optional));
    return { type: 'object', ...(required.length > 0 && { required }), properties, ...options };
  },
  Optional: (schema: TSchema) => Object.defineProperty({ ...schema }, optional, { value: true }),
};

/** The makers. Their types say what a value that fits is: `Static<typeof schema>`. */
export const Type = makers as unknown as Pick<typeof Box, keyof typeof makers>;
