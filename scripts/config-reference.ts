// Renders the schema of gateway.yaml for its two other readers: a JSON Schema for editors, and a Markdown table for
// people. Both are pure functions of the schema, so that a test can tell when the written files are stale.

import { type Rule, ruleOf } from '../src/config/rule.ts';
import { configSchema } from '../src/config/schema.ts';

/** The JSON Schema (draft 7) that editors check gateway.yaml with. It takes every file that the gateway takes. */
export function renderEditorSchema(): string {
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'gateway.yaml',
    ...editorRule(configRule),
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

/** The table of all keys: key, type, default, meaning. */
export function renderKeyTable(): string {
  const rows = rowsOf('', configRule).map((row) =>
    [`\`${row.key}\``, typeOf(row.rule), defaultOf(row), row.rule.description ?? ''].map(escapeCell).join(' | '),
  );
  return ['| key | type | default | meaning |', '| --- | --- | --- | --- |', ...rows.map((row) => `| ${row} |`)].join(
    '\n',
  );
}

const configRule = ruleOf(configSchema);

/** Any scalar can hold a variable; its text is converted when it has been replaced. */
const variablePattern = String.raw`\$`;

function editorRule(rule: Rule): Record<string, unknown> {
  const { description, default: byDefault, examples } = rule;
  const words = { description, default: byDefault, examples };
  if (rule.anyOf) return { ...words, anyOf: rule.anyOf.map(editorRule) };
  if (rule.properties) return { ...words, ...editorSection(rule) };
  if (rule.patternProperties) return { ...words, ...editorRecord(rule) };
  if (rule.items) {
    const { minItems, maxItems } = rule;
    return { ...words, type: 'array', items: editorRule(rule.items), minItems, maxItems };
  }
  return { ...words, anyOf: [editorScalar(rule), { type: 'string', pattern: variablePattern }] };
}

/** A section of which every key is commented out is null to YAML. */
function editorSection({ properties = {}, required = [] }: Rule): Record<string, unknown> {
  const needed = required.filter((name) => properties[name] && !hasDefault(properties[name]));
  return {
    type: needed.length > 0 ? 'object' : ['object', 'null'],
    properties: mapValues(properties, editorRule),
    ...(needed.length > 0 && { required: needed }),
    additionalProperties: false,
  };
}

function editorRecord({ patternProperties = {}, minProperties }: Rule): Record<string, unknown> {
  return {
    type: minProperties === undefined ? ['object', 'null'] : 'object',
    patternProperties: mapValues(patternProperties, editorRule),
    additionalProperties: false,
    minProperties,
  };
}

/** A key for text takes a number or a boolean as the text that it is. */
function editorScalar(rule: Rule): Record<string, unknown> {
  const { description, default: byDefault, examples, kind, expects, secret, ...constraints } = rule;
  return rule.type === 'string' ? { ...constraints, type: ['string', 'number', 'boolean'] } : constraints;
}

function hasDefault(rule: Rule): boolean {
  if (rule.default !== undefined) return true;
  if (rule.patternProperties) return rule.minProperties === undefined;
  const { properties, required = [] } = rule;
  return properties !== undefined && required.every((name) => properties[name] && hasDefault(properties[name]));
}

interface Row {
  readonly key: string;
  readonly rule: Rule;
  readonly isRequired: boolean;
}

function rowsOf(key: string, rule: Rule, isRequired = false): Row[] {
  const below = key === '' ? '' : `${key}.`;
  if (rule.properties) {
    const isNeeded = (name: string): boolean => rule.required?.includes(name) ?? false;
    return Object.entries(rule.properties).flatMap(([name, part]) => rowsOf(below + name, part, isNeeded(name)));
  }
  if (rule.items?.properties) return rowsOf(`${key}[]`, rule.items);
  const value = Object.values(rule.patternProperties ?? {})[0];
  if (value === undefined) return [{ key, rule, isRequired }];
  const section = value.anyOf?.find(({ properties }) => properties !== undefined);
  const alone = value.anyOf?.filter((branch) => branch !== section) ?? [];
  const name = `${below}NAME`;
  return [...alone.map((branch) => ({ key: name, rule: branch, isRequired })), ...rowsOf(name, section ?? value)];
}

function typeOf(rule: Rule): string {
  if (rule.anyOf) return rule.anyOf.map(typeOf).join(' or ');
  if (rule.enum) return rule.enum.map((word) => `\`${word}\``).join(', ');
  if (rule.items) return `list of ${typeOf(rule.items)}`;
  return rule.kind ?? { integer: 'integer', boolean: 'boolean' }[String(rule.type)] ?? 'text';
}

function defaultOf({ rule, isRequired }: Row): string {
  if (rule.default === undefined) return isRequired ? 'required' : '–';
  const text = Array.isArray(rule.default) ? `[${rule.default.join(', ')}]` : String(rule.default);
  return `\`${text}\``;
}

function escapeCell(cell: string): string {
  return cell.replaceAll('|', '\\|');
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
