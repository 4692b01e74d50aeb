// Converts one scalar to the type that its key takes. A value that came from a variable is text and becomes what the
// key wants; one that was written out keeps the type that YAML gives it, except that a key for text takes the source
// text as it stands: `defaultPlan: 123` is the plan "123".

import type { Scalar } from 'yaml';
import { fits } from '../schema/check.ts';
import type { Reading } from './read.ts';
import { type Path, sayNames } from './report.ts';
import { expectationOf, nearestOf, type Rule } from './rule.ts';
import { substitute } from './substitute.ts';

/** The value of a scalar, or undefined when it does not fit. */
export function readScalar(reading: Reading, rule: Rule, node: Scalar, path: Path): unknown {
  const { report, sources, variables } = reading;
  const { text, names, failures } = substitute(node.source ?? '', sources);
  for (const name of names) variables.add(name);
  for (const { message, remedy } of failures) report.add(path, message, remedy);
  if (failures.length > 0) return undefined;

  report.mark(path, node.range?.[0] ?? 0, names);
  const isVariable = names.length > 0;
  if (!isVariable && node.value === null) {
    report.add(path, 'is empty', `Write ${expectationOf(rule)}, or remove the key`);
    return undefined;
  }
  const value = isVariable ? convertText(rule, text) : valueAsWritten(rule, node, text);
  if (value !== undefined && fits(rule, value)) return value;
  refuse(reading, rule, node, path, text);
  return undefined;
}

function convertText(rule: Rule, text: string): unknown {
  if (rule.type === 'boolean') return text === 'true' || (text === 'false' ? false : undefined);
  if (rule.type === 'integer') return /^-?\d+$/.test(text) ? Number(text) : undefined;
  return text;
}

function valueAsWritten(rule: Rule, node: Scalar, text: string): unknown {
  return rule.type === 'boolean' || rule.type === 'integer' ? node.value : text;
}

function refuse({ report }: Reading, rule: Rule, node: Scalar, path: Path, text: string): void {
  const names = report.namesOf(path);
  if (names.length > 0) {
    report.add(path, report.say(path, text), `Set ${sayNames(names)} to ${expectationOf(rule)}`);
  } else if (rule.secret) {
    report.add(path, 'has a value that does not fit', `Write ${expectationOf(rule)}`);
  } else if (typeof node.value === 'string' && fits(rule, convertText(rule, text))) {
    report.add(path, `is text, because ${JSON.stringify(text)} stands in quotes`, 'Remove the quotes');
  } else {
    const nearest = nearestOf(text, rule.enum ?? []);
    const hint = nearest === null ? '' : `. Perhaps ${nearest} is meant`;
    const written = rule.type === undefined || rule.type === 'string' ? text : node.value;
    report.add(path, report.say(path, written), `Write ${expectationOf(rule)}${hint}`);
  }
}
