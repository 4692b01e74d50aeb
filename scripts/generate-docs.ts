// Writes what is generated from the source: the JSON Schema for editors, the OpenAPI document, docs/cli.md, and the table of
// keys in docs/configuration.md. With --check it writes nothing and exits with 1 when a file is stale. Run from the root.

import { readFileSync, writeFileSync } from 'node:fs';
import { renderCommandPage } from './command-reference.ts';
import { renderEditorSchema, renderKeyTable } from './config-reference.ts';
import { renderOpenApi } from './openapi.ts';

/** A generated file: from what it holds to what it should hold. */
const files: Readonly<Record<string, (present: string) => string | Promise<string>>> = {
  'config/gateway.schema.json': renderEditorSchema,
  'config/openapi.json': renderOpenApi,
  'docs/cli.md': renderCommandPage,
  'docs/configuration.md': (present) => replacePart(present, 'keys', renderKeyTable()),
};

const isCheck = process.argv.includes('--check');
const stale: string[] = [];

for (const [file, render] of Object.entries(files)) {
  const present = readPresent(file);
  const wanted = await render(present);
  if (wanted === present) continue;
  stale.push(file);
  if (!isCheck) writeFileSync(file, wanted);
}

for (const file of stale) console.log(isCheck ? `${file} is stale. Run npm run docs.` : `${file} written.`);
if (isCheck && stale.length > 0) process.exitCode = 1;

function readPresent(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Replaces what stands between `<!-- NAME:begin … -->` and `<!-- NAME:end -->`. */
function replacePart(text: string, name: string, part: string): string {
  const pattern = new RegExp(`(<!-- ${name}:begin[^>]*-->\n)[^]*?(<!-- ${name}:end -->)`);
  if (!pattern.test(text)) throw new Error(`The marks ${name}:begin and ${name}:end are missing.`);
  return text.replace(pattern, (_, begin: string, end: string) => `${begin}\n${part}\n\n${end}`);
}
