// The program's own chance, in a simulation: the random part of an id decides when its owner tries again, so it has to be the
// same when a world is repeated.

import { randomFrom } from '../helpers/random.ts';

/** What is drawn at random comes from a seed, until the function that is returned is called. */
export function drawFrom(seed: number): () => void {
  const random = randomFrom(seed);
  const getRandomValues = (bytes: Uint8Array) => {
    for (const index of bytes.keys()) bytes[index] = random.below(256);
    return bytes;
  };
  Object.defineProperty(crypto, 'getRandomValues', { value: getRandomValues, configurable: true });
  // What is left is the real one, which the prototype has.
  return () => void Reflect.deleteProperty(crypto, 'getRandomValues');
}
