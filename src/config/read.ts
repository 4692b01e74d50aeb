// Reads a YAML tree by the schema: replaces variables, converts each scalar to the type that its key takes, fills in
// defaults, and reports whatever does not fit. What did not fit is left out, so that reading goes on to the end.

import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Scalar } from 'yaml';
import { readScalar } from './read-scalar.ts';
import type { Path, Report } from './report.ts';
import { expectationOf, knownRemedy, type Rule } from './rule.ts';
import type { Sources } from './substitute.ts';

/** What reading needs, and where it notes what it found. */
export interface Reading {
  readonly report: Report;
  readonly sources: Sources;
  readonly targets: ReadonlyMap<Alias, Node>;
  /** The names of all variables used. */
  readonly variables: Set<string>;
  /** Aliases could make a small file a huge one; so nodes are counted. */
  nodesLeft: number;
}

/** The value of a node, or undefined when it does not fit. */
export function readNode(reading: Reading, rule: Rule, written: Node, path: Path): unknown {
  const node = (isAlias(written) && reading.targets.get(written)) || written;
  reading.report.mark(path, node.range?.[0] ?? 0);
  reading.nodesLeft -= 1;
  if (reading.nodesLeft === 0) reading.report.add(path, 'makes the file too large', 'Use fewer aliases');
  if (reading.nodesLeft <= 0) return undefined;

  const chosen = chooseRule(rule, node);
  if (chosen.properties) return readSection(reading, chosen, node, path);
  if (chosen.patternProperties) return readRecord(reading, chosen, node, path);
  if (chosen.items) return readList(reading, chosen, node, path);
  if (isScalar(node)) return readScalar(reading, chosen, node, path);
  return refuseKind(reading, chosen, node, path);
}

/** Of a key that takes several kinds of value, the rule for the kind that is there. */
function chooseRule(rule: Rule, node: Node): Rule {
  const fits = ({ properties, items }: Rule): boolean => {
    if (isMap(node)) return properties !== undefined;
    if (isSeq(node)) return items !== undefined;
    return properties === undefined && items === undefined;
  };
  const chosen = rule.anyOf?.find(fits);
  if (!chosen) return rule;
  // What a wrong value is answered with are the words for the whole choice, if there are any.
  return rule.expects === undefined ? chosen : { ...chosen, expects: rule.expects };
}

/** A mapping whose keys are known. An empty node is a section of which every key is commented out. */
function readSection(reading: Reading, rule: Rule, node: Node | null, path: Path): unknown {
  const entries = node === null || isEmpty(node) ? [] : readEntries(reading, rule, node, path);
  if (entries === null) return undefined;
  const properties = rule.properties ?? {};
  const known = Object.keys(properties);
  const written = new Map<string, Node>();
  for (const { name, key, value } of entries) {
    if (Object.hasOwn(properties, name)) written.set(name, value);
    else reading.report.add([...path, name], 'is not a known key', knownRemedy(name, known), key.range?.[0]);
  }

  const section: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(properties)) {
    const value = written.get(name);
    const step = [...path, name];
    const isRequired = rule.required?.includes(name) ?? false;
    const result = value ? readNode(reading, property, value, step) : readAbsent(reading, property, step, isRequired);
    if (result !== undefined) section[name] = result;
  }
  return section;
}

/** The default of a key that is not written; for a section, the defaults of its keys, unless it may be left out. */
function readAbsent(reading: Reading, rule: Rule, path: Path, isRequired: boolean): unknown {
  if (rule.default !== undefined) return structuredClone(rule.default);
  if (rule.properties && isRequired) return readSection(reading, rule, null, path);
  if (rule.patternProperties && rule.minProperties === undefined) return emptyRecord();
  if (isRequired) reading.report.add(path, 'is missing', `Write ${expectationOf(rule)}`);
  return undefined;
}

/** A mapping whose names are free. A name is there even when its value does not fit: others may refer to it. */
function readRecord(reading: Reading, rule: Rule, node: Node, path: Path): unknown {
  const entries = isEmpty(node) && rule.minProperties === undefined ? [] : readEntries(reading, rule, node, path);
  if (entries === null) return undefined;
  const [pattern = '', valueRule = {}] = Object.entries(rule.patternProperties ?? {})[0] ?? [];
  const record = emptyRecord();
  for (const { name, key, value } of entries) {
    const isName = new RegExp(pattern).test(name);
    if (!isName) {
      const remedy = `Write ${rule.expectsName ?? 'another name'}`;
      reading.report.add(path, `has the name ${JSON.stringify(name)}, which cannot be used`, remedy, key.range?.[0]);
    }
    record[name] = readNode(reading, valueRule, value, [...path, name]);
  }
  if (entries.length < (rule.minProperties ?? 0)) refuseEmpty(reading, rule, path);
  return record;
}

/** Without a prototype, so that no name of a user meets `constructor`. */
function emptyRecord(): Record<string, unknown> {
  return Object.create(null);
}

function readList(reading: Reading, rule: Rule, node: Node, path: Path): unknown {
  if (!isSeq<Node>(node)) return refuseKind(reading, rule, node, path);
  const { items = {}, minItems = 0, maxItems = Number.POSITIVE_INFINITY } = rule;
  if (node.items.length < minItems) return refuseEmpty(reading, rule, path);
  if (node.items.length > maxItems) {
    const message = `has ${node.items.length} items, which is more than ${maxItems}`;
    reading.report.add(path, message, `Write ${expectationOf(rule)}`);
    return undefined;
  }
  return node.items.map((item, index) => readNode(reading, items, item, [...path, index]));
}

interface Entry {
  readonly name: string;
  readonly key: Scalar;
  readonly value: Node;
}

/** The entries of a mapping, each name once; null when the node is no mapping. Variables are not replaced in keys. */
function readEntries(reading: Reading, rule: Rule, node: Node, path: Path): Entry[] | null {
  if (!isMap<Node, Node | null>(node)) {
    refuseKind(reading, rule, node, path);
    return null;
  }
  const entries = new Map<string, Entry>();
  for (const { key, value } of node.items) {
    const offset = key.range?.[0];
    if (!isScalar(key) || value === null) {
      reading.report.add(path, 'has a key that is not plain text with a value', 'Write KEY: VALUE', offset);
      continue;
    }
    const name = typeof key.value === 'string' ? key.value : (key.source ?? '');
    if (entries.has(name)) reading.report.add([...path, name], 'is written twice', 'Keep one of the two', offset);
    else entries.set(name, { name, key, value });
  }
  return [...entries.values()];
}

function isEmpty(node: Node): boolean {
  return isScalar(node) && node.value === null;
}

function refuseEmpty(reading: Reading, rule: Rule, path: Path): undefined {
  reading.report.add(path, 'is empty', `Write ${expectationOf(rule)}`);
}

/** A mapping, a list or a single value stands where another of them is wanted. */
function refuseKind(reading: Reading, rule: Rule, node: Node, path: Path): undefined {
  if (isEmpty(node)) return refuseEmpty(reading, rule, path);
  const found = isMap(node) ? 'a mapping' : isSeq(node) ? 'a list' : 'a single value';
  const isMapping = rule.properties !== undefined || rule.patternProperties !== undefined;
  const expects = rule.expects ?? (isMapping ? 'its keys below it, indented, one a line' : expectationOf(rule));
  const subject = path.length === 0 ? 'The file' : '';
  reading.report.add(path, `${subject} is ${found}`.trim(), `Write ${expects}`);
}
