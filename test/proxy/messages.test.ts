// The proxy suite against Tollgate: requests and answers.

import t from 'tap';
import { messageCases } from './cases/all-cases.ts';
import { testCases } from './tollgate.ts';

testCases(t, messageCases);
