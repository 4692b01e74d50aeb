// gateway.example.yaml as the tests use it: as it stands, and with its optional sections taken out of their comments.

import { readFileSync } from 'node:fs';

/** The file as it stands. */
export const exampleText = readFileSync('gateway.example.yaml', 'utf8');

/** The values that the variables of the example need. */
export const exampleEnv = {
  PARTNER_TOKEN: 'partner-0123',
  PGPASSWORD: 'correct-horse',
  INTROSPECTION_SECRET: 'battery-staple',
  GOOGLE_SECRET: 'google-0123',
  GITHUB_SECRET: 'github-0123',
  WORK_SECRET: 'work-0123',
  ADMIN_TOKEN: 'an-admin-token-of-32-characters-or-more',
  SESSION_SECRET: 'a-secret-of-32-characters-or-more',
};

/** An optional section: its lines `[first, last]`, counted from 0, and the line of words above it. */
export interface Section {
  readonly explanation: string;
  readonly first: number;
  readonly last: number;
}

/** All optional sections: a commented line that looks like a key begins one, the end of the comment ends it. */
export function findSections(text: string): Section[] {
  const lines = text.split('\n');
  const sections: Section[] = [];
  for (let first = 1; first < lines.length; first++) {
    if (!/^ *# (- )?[A-Za-z]+:( |$)/.test(lines[first] ?? '')) continue;
    let last = first;
    while (/^ *# /.test(lines[last + 1] ?? '')) last += 1;
    sections.push({ explanation: lines[first - 1]?.trim() ?? '', first, last });
    first = last;
  }
  return sections;
}

/** The text with these sections taken out of their comments. */
export function activate(text: string, sections: readonly Section[]): string {
  const isActive = (index: number): boolean => sections.some(({ first, last }) => first <= index && index <= last);
  const lines = text.split('\n').map((line, index) => (isActive(index) ? line.replace('# ', '') : line));
  return lines.join('\n');
}
