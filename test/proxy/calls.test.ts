// The proxy suite against Tollgate: what comes from callers.

import t from 'tap';
import { callCases } from './cases/all-cases.ts';
import { testCases } from './tollgate.ts';

testCases(t, callCases);
