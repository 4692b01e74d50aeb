// Markdown as the tests of the documentation read it: sections, tables, links, anchors and fenced code. Enough for the
// way our own documents are written.

import { readdirSync } from 'node:fs';

const notOurs = new Set(['node_modules', 'dist', 'data']);

/** Every `.md` file below the folder, from its root; without dot-folders and what is not part of the project. */
export function markdownFiles(root: string): string[] {
  const entries = readdirSync(root, { withFileTypes: true });
  return entries.flatMap((entry) => {
    if (entry.isFile()) return entry.name.endsWith('.md') ? [entry.name] : [];
    if (!entry.isDirectory() || entry.name.startsWith('.') || notOurs.has(entry.name)) return [];
    return markdownFiles(`${root}/${entry.name}`).map((path) => `${entry.name}/${path}`);
  });
}

export interface Section {
  readonly title: string;
  readonly body: string;
}

/** The sections under headings of this level, in order, each with what is below it. */
export function sectionsOf(markdown: string, level: number): Section[] {
  const [, ...parts] = `\n${markdown}`.split(`\n${'#'.repeat(level)} `);
  return parts.map((part) => {
    const [title = '', ...lines] = part.split('\n');
    // A heading of a higher level ends the last section before it.
    const end = lines.findIndex((line) => new RegExp(`^#{1,${level}} `).test(line));
    return { title: title.trim(), body: lines.slice(0, end === -1 ? undefined : end).join('\n') };
  });
}

/** The cells of every table row, without headers and rules. */
export function tableRows(markdown: string): string[][] {
  const lines = markdown.split('\n');
  return lines.flatMap((line, index) => {
    const isRule = (text: string | undefined) => /^\|(?: *:?-+:? *\|)+$/.test(text ?? '');
    if (!line.startsWith('|') || isRule(line) || isRule(lines[index + 1])) return [];
    return [
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    ];
  });
}

export interface Fence {
  readonly tag: string;
  readonly code: string;
}

const fence = /^(?<indent> *)```(?<tag>[^\n]*)\n(?<code>[\s\S]*?)^\k<indent>```$/gm;

/** Every block of fenced code, also those in lists. */
export function fencesOf(markdown: string): Fence[] {
  return [...markdown.matchAll(fence)].map(({ groups }) => ({
    tag: groups?.['tag']?.trim() ?? '',
    code: groups?.['code'] ?? '',
  }));
}

/** The targets of all links and images, also of those given by reference or as HTML. Code is left out. */
export function linksOf(markdown: string): string[] {
  const text = markdown.replaceAll(fence, '').replaceAll(/`[^`\n]+`/g, '');
  const patterns = [/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g, /^ *\[[^\]]+\]: *(\S+)/gm, /\b(?:href|src)="([^"]+)"/g];
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, target = '']) => target));
}

/** The anchors that GitHub gives the headings, and those that are set by hand. */
export function anchorsOf(markdown: string): Set<string> {
  const text = markdown.replaceAll(fence, '');
  const anchors = new Set([...text.matchAll(/<a (?:id|name)="([^"]+)"/g)].map(([, id = '']) => id));
  const taken = new Map<string, number>();
  for (const [, heading = ''] of text.matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const plain = heading.replaceAll(/\]\([^)]*\)/g, '').toLowerCase();
    const slug = plain.replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '').replaceAll(' ', '-');
    const before = taken.get(slug) ?? 0;
    taken.set(slug, before + 1);
    anchors.add(before === 0 ? slug : `${slug}-${before}`);
  }
  return anchors;
}
