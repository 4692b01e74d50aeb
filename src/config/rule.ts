// How the rest of this folder looks at the schema: as a tree of rules, each with the JSON Schema keywords that are
// used here and the words for people. One type for every node keeps the reader and the generators free of casts.

import type { TSchema } from '../schema/type.ts';

/** A node of the schema. What a key takes is told by which of properties, names, items, anyOf and enum it has. */
export interface Rule {
  readonly type?: 'string' | 'integer' | 'boolean' | 'array' | 'object';
  readonly description?: string;
  /** What the value is, where that says more than its type: `duration`. */
  readonly kind?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  /** Completes "Write …" in an error. */
  readonly expects?: string;
  /** For a mapping with free names: what a name may be. */
  readonly expectsName?: string;
  /** The value is never part of a message. */
  readonly secret?: boolean;
  readonly properties?: Readonly<Record<string, Rule>>;
  readonly required?: readonly string[];
  /** For a mapping with free names: one pattern, and the rule of the values. */
  readonly patternProperties?: Readonly<Record<string, Rule>>;
  readonly minProperties?: number;
  readonly items?: Rule;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly anyOf?: readonly Rule[];
  readonly enum?: readonly string[];
}

/** A TypeBox schema, as rules. */
export function ruleOf(schema: TSchema): Rule {
  return schema as Rule;
}

/** What a section is in which no key is written: without those that have no default. */
export function defaultsOf({ properties = {} }: Rule): Record<string, unknown> {
  const defaults: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries(properties)) {
    if (rule.default !== undefined) defaults[name] = rule.default;
    else if (rule.properties !== undefined) defaults[name] = defaultsOf(rule);
  }
  return defaults;
}

/** What to write under a key, such as `a port from 0 to 65535, for example 8080`. */
export function expectationOf(rule: Rule): string {
  const expects = rule.expects ?? (rule.enum ? `one of ${rule.enum.join(', ')}` : 'something else');
  const example = rule.examples?.[0];
  return example === undefined ? expects : `${expects}, for example ${example}`;
}

/** The known word that is nearest to a mistyped one, or null when none is near enough to be meant. */
export function nearestOf(word: string, known: readonly string[]): string | null {
  const limit = word.length < 3 ? 1 : Math.max(2, Math.floor(word.length / 3));
  let nearest: string | null = null;
  let best = limit + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < best) [nearest, best] = [candidate, distance];
  }
  return nearest;
}

/** Which of the known names a wrong one may be meant to be. */
export function knownRemedy(word: string, known: readonly string[]): string {
  const nearest = nearestOf(word, known);
  return nearest === null ? `Known here: ${known.join(', ')}` : `Perhaps ${nearest} is meant`;
}

/** Levenshtein's distance: how many letters must be added, removed or changed. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const changed = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
