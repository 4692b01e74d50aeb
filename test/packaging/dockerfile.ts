// The Dockerfile as the tests read it: stages of instructions, each with the text after its keyword. Enough for the way
// ours is written.

import { readFileSync } from 'node:fs';

export interface Instruction {
  /** `FROM`, `RUN`, … */
  readonly keyword: string;
  readonly text: string;
}

export interface Image {
  /** What stands before the first stage. */
  readonly preamble: readonly Instruction[];
  /** Each begins with its `FROM`; the last is what runs. */
  readonly stages: readonly (readonly Instruction[])[];
  /** Environment of the last stage. */
  readonly env: Readonly<Record<string, string>>;
}

export function readDockerfile(): Image {
  const text = readFileSync('Dockerfile', 'utf8')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '');
  const instructions = [...text.matchAll(/^([A-Z]+) +(.+)$/gm)].map(([, keyword = '', rest = '']) => ({
    keyword,
    text: rest,
  }));
  const starts = instructions.flatMap(({ keyword }, i) => (keyword === 'FROM' ? [i] : []));
  const stages = starts.map((start, i) => instructions.slice(start, starts[i + 1]));
  const env = Object.fromEntries(
    textsOf(stages.at(-1) ?? [], 'ENV')
      .flatMap((assignments) => assignments.split(' '))
      .map((assignment) => assignment.split('=') as [string, string]),
  );
  return { preamble: instructions.slice(0, starts[0]), stages, env };
}

/** What stands after this keyword, each time it is used. */
export function textsOf(instructions: readonly Instruction[], keyword: string): string[] {
  return instructions.filter((instruction) => instruction.keyword === keyword).map(({ text }) => text);
}

/** What stands after this keyword in the stage that runs; the last counts. */
export function settingOf({ stages }: Image, keyword: string): string {
  return textsOf(stages.at(-1) ?? [], keyword).at(-1) ?? '';
}

/** The command of HEALTHCHECK, which is written as a list. */
export function healthCommandOf(image: Image): string[] {
  return JSON.parse(settingOf(image, 'HEALTHCHECK').replace(/^.* CMD /, '')) as string[];
}
