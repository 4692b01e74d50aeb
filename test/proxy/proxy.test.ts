// The proxy suite against Tollgate. Each case has a gateway of its own, which has to be in order when the case is over.

import t from 'tap';
import { allCases } from './cases/all-cases.ts';
import { runCase } from './proxy-case.ts';
import { openTollgate, type TollgateSubject } from './tollgate.ts';

/** For one case: the largest takes a few seconds. */
const caseMsMax = 30_000;

for (const proxyCase of allCases) {
  t.test(proxyCase.name, async (t) => {
    const opened: TollgateSubject[] = [];
    await runCase(proxyCase, caseMsMax, async (upstreamUrl, options) => {
      const subject = await openTollgate(t, upstreamUrl, options);
      opened.push(subject);
      return subject;
    });
    t.ok(opened.length > 0, 'kept, with no hold left open');
    const charged = opened.reduce((sum, subject) => sum + subject.charges(), 0);
    if (proxyCase.charges !== undefined) t.equal(charged, proxyCase.charges, 'charges');
  });
}
