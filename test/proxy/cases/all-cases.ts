// The whole proxy suite, in the order of its chapters.

import type { ProxyCase } from '../proxy-case.ts';
import { bodyCases } from './bodies.ts';
import { malformedCases } from './malformed.ts';
import { requestCases } from './requests.ts';

/** Every case; no two have the same name. */
export const allCases: readonly ProxyCase[] = [...requestCases, ...bodyCases, ...malformedCases];
