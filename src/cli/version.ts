// The command that tells the version, from the package's own description.

import { existsSync, readFileSync } from 'node:fs';
import type { Command } from './command.ts';

/** The version in package.json: beside src/ when run from source, one folder up when compiled to dist/. */
export function readVersion(): string {
  const places = ['../../package.json', '../../../package.json'].map((place) => new URL(place, import.meta.url));
  const place = places.find((url) => existsSync(url));
  if (place === undefined) throw new Error('package.json is not where it was installed');
  const { version } = JSON.parse(readFileSync(place, 'utf8')) as { version: string };
  return version;
}

export const versionCommand: Command = {
  name: 'version',
  summary: 'show the version',
  examples: ['version'],
  run: async ({ output }) => {
    const version = readVersion();
    output.result({ version, node: process.versions.node }, version);
    return undefined;
  },
};
