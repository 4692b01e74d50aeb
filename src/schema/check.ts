// Whether a value fits a schema, as strictly as it is written: nothing is converted or dropped. Ajv decides. A schema with a
// keyword that it does not know is refused when the check is made.

import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import type { TSchema } from './type.ts';

/** What schemas say for people and for the reader of the configuration. No value is judged by it. */
const annotations = ['kind', 'expects', 'expectsName', 'secret'];

// That schemas are schemas is told by their types and by tests: to judge that too, Ajv would take longer than for all else.
const strictly = { strict: true, meta: false, validateSchema: false };

const judge = new Ajv(strictly).addVocabulary(annotations);
const bodyJudge = new Ajv({ ...strictly, useDefaults: true });

/** By the text of the schema, because the reader of the configuration makes some while it reads. */
const checks = new Map<string, ValidateFunction>();

/** Whether a value fits. The check is made when it is first asked for. */
export function fits(schema: TSchema, value: unknown): boolean {
  const text = JSON.stringify(schema);
  const check = checks.get(text) ?? judge.compile(schema);
  checks.set(text, check);
  return check(value);
}

/** Makes the check of what is sent. It writes the defaults of absent members into it, and tells what does not fit. */
export function checkOf(schema: TSchema): (sent: unknown) => { value: unknown } | { error: ErrorObject[] } {
  const check = bodyJudge.compile(schema);
  return (sent) => (check(sent) ? { value: sent } : { error: check.errors ?? [] });
}
