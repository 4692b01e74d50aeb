// How the numbers on the command lines of the benches are read.

import { InvalidArgumentError } from 'commander';

/** Reads a whole number within limits. */
export function integerFrom(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It takes a whole number from ${min} to ${max}.`);
  };
}

/** Reads a number within limits, which may have a fraction. */
export function numberFrom(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+(?:\.\d+)?$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It takes a number from ${min} to ${max}.`);
  };
}
