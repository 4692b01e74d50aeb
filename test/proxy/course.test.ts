// The proxy suite against Tollgate: what happens in time, and between several on one connection.

import t from 'tap';
import { courseCases } from './cases/all-cases.ts';
import { testCases } from './tollgate.ts';

testCases(t, courseCases);
