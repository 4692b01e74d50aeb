// Chance that can be repeated, for tests.

export { type Random, randomFrom } from '../../src/verify/stage/random.ts';
