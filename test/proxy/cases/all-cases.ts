// The whole proxy suite, in the order of its chapters.

import type { ProxyCase } from '../proxy-case.ts';
import { answerCases } from './answers.ts';
import { bodyCases } from './bodies.ts';
import { connectionCases } from './connections.ts';
import { leavingCases } from './leaving.ts';
import { malformedCases } from './malformed.ts';
import { oddAnswerCases } from './odd-answers.ts';
import { pipeliningCases } from './pipelining.ts';
import { requestCases } from './requests.ts';
import { streamingCases } from './streaming.ts';
import { upgradeCases } from './upgrades.ts';

/** What comes from callers. */
export const callCases: readonly ProxyCase[] = [...requestCases, ...bodyCases, ...malformedCases];

/** What comes from upstreams. */
export const replyCases: readonly ProxyCase[] = [...answerCases, ...oddAnswerCases];

/** What happens in time, and between several on one connection. */
export const courseCases: readonly ProxyCase[] = [
  ...connectionCases,
  ...streamingCases,
  ...leavingCases,
  ...pipeliningCases,
  ...upgradeCases,
];

/** Every case; no two have the same name. */
export const allCases: readonly ProxyCase[] = [...callCases, ...replyCases, ...courseCases];
