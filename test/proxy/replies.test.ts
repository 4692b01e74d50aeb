// The proxy suite against Tollgate: what comes from upstreams.

import t from 'tap';
import { replyCases } from './cases/all-cases.ts';
import { testCases } from './tollgate.ts';

testCases(t, replyCases);
