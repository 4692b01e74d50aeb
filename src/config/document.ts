// Parses the text of a file as YAML 1.2 and turns the parser's complaints into ours: its own texts quote the source,
// which may be a password, so they are replaced by the code's meaning and a remedy.

import { type Alias, type Document, LineCounter, type Node, parseDocument, visit, type YAMLError } from 'yaml';
import { openReport, type Report } from './report.ts';

const charactersMax = 1024 * 1024;

/** A file that is well-formed YAML. `targets` holds, for each alias, the node that it stands for. */
export interface ParsedText {
  readonly report: Report;
  readonly root: Node | null;
  readonly targets: ReadonlyMap<Alias, Node>;
}

/** Parses the text. `root` is null when the report already has the problems. */
export function parseText(text: string): ParsedText {
  const lines = new LineCounter();
  const report = openReport(lines);
  const nothing = { report, root: null, targets: new Map<Alias, Node>() };
  if (text.length > charactersMax) {
    report.add([], 'The file is larger than 1 MiB', 'Check that it is the configuration');
    return nothing;
  }

  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const complaints = [...document.errors, ...document.warnings];
  if (complaints.length > 0) {
    for (const complaint of firstOfEachLine(complaints, lines)) reportComplaint(report, complaint, text);
    return nothing;
  }
  if (document.contents === null) {
    report.add([], 'The file is empty', 'Begin with upstreams and routes, as in gateway.example.yaml');
    return nothing;
  }
  const targets = findTargets(document, report);
  return report.problems().length > 0 ? nothing : { report, root: document.contents, targets };
}

/** An alias stands for the last node before it that has its anchor. */
function findTargets(document: Document, report: Report): Map<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Node: (_, node) => {
      if ('anchor' in node && typeof node.anchor === 'string') anchors.set(node.anchor, node);
    },
    Alias: (_, alias) => {
      const target = anchors.get(alias.source);
      if (target) targets.set(alias, target);
      else report.add([], 'An alias has no anchor before it', quoteRemedy('*'), alias.range?.[0]);
    },
  });
  return targets;
}

const quoteRemedy = (sign: string): string => `Put the value in quotes if its ${sign} is meant as text`;

const indentRemedy = 'Indent the keys of one mapping alike, with spaces';

const complaintTexts: Partial<Record<YAMLError['code'], readonly [message: string, remedy: string]>> = {
  BAD_ALIAS: ['An alias or anchor is not well-formed', quoteRemedy('* or &')],
  BAD_DQ_ESCAPE: ['A text in double quotes has an unknown escape', 'Use single quotes, or write \\\\ for a backslash'],
  BAD_INDENT: ['The indentation does not fit', indentRemedy],
  BAD_SCALAR_START: ['A value begins with a sign that YAML reserves', 'Put the value in quotes'],
  BLOCK_AS_IMPLICIT_KEY: ['A key stands where only a value can', 'Put a value that holds ": " in quotes, or indent'],
  BLOCK_IN_FLOW: ['A block stands within brackets or braces', 'Write it in block style, one key a line'],
  KEY_OVER_1024_CHARS: ['A key is longer than 1024 characters', 'Look for a quote that is not closed'],
  MISSING_CHAR: ['A quote, a comma, a bracket or a colon is missing', 'Close what was opened'],
  MULTILINE_IMPLICIT_KEY: ['A key goes over more than one line', indentRemedy],
  MULTIPLE_DOCS: ['The file holds more than one document', 'Remove the line --- and what follows it'],
  RESOURCE_EXHAUSTION: ['The file is nested too deeply', 'Check that it is the configuration'],
  TAB_AS_INDENT: ['A tab is used to indent', 'Use spaces'],
  TAG_RESOLVE_FAILED: ['A value begins with !, which YAML takes for a tag', quoteRemedy('!')],
};

/** What follows on a line is mostly a consequence of the first, and after an unexpected token everything is. */
function firstOfEachLine(complaints: readonly YAMLError[], lines: LineCounter): YAMLError[] {
  const first = new Map<number, YAMLError>();
  for (const complaint of complaints.toSorted((a, b) => a.pos[0] - b.pos[0])) {
    const { line } = lines.linePos(complaint.pos[0]);
    if (!first.has(line)) first.set(line, complaint);
    if (complaint.code === 'UNEXPECTED_TOKEN') break;
  }
  return [...first.values()];
}

function reportComplaint(report: Report, { code, pos }: YAMLError, text: string): void {
  const [offset] = pos;
  const [message, remedy] = complaintTexts[code] ?? [
    'The text is not well-formed YAML',
    'Compare this line with gateway.example.yaml',
  ];
  report.add(
    [],
    message,
    hasBareVariable(text, offset) ? 'Within { } and [ ], put a variable in quotes' : remedy,
    offset,
  );
}

/** An unquoted `${X}` within `{ }` or `[ ]` is the likeliest cause of an error on its line. */
function hasBareVariable(text: string, offset: number): boolean {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const end = text.indexOf('\n', offset);
  return /[{[].*[^"'$]\$\{/.test(text.slice(start, end === -1 ? undefined : end));
}
