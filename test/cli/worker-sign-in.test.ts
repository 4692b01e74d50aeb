// Several processes that share the port, and people who meet another of them each time.

import t from 'tap';
import { freePort } from '../../scripts/free-port.ts';
import { CookieJar } from '../helpers/cookie-jar.ts';
import { startIdentityProvider } from '../helpers/identity-provider.ts';
import { providerYaml, sessionOf, sessionSecret, signIn } from '../helpers/sign-in-gateways.ts';
import { until } from '../helpers/until.ts';
import { startGate } from '../helpers/workers-gate.ts';

t.test('people sign in although they come back to another worker than the one they began at', async (t) => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const redirect = `${url}/_tollgate/auth/callback/work`;
  const provider = await startIdentityProvider(t, { redirectUris: [redirect] });
  const auth = `session: { secret: "${sessionSecret}" }, providers: { ${providerYaml('work', provider)} }`;
  const more = `auth: { ${auth}, allow: { emailDomains: ["*"] } }`;
  const gate = await startGate(t, 'sqlite', `publicUrl: "${url}"`, { more, port });
  const workerAt = (path: string) => gate.log().findLast((line) => line['path'] === path)?.['worker'];
  await until(
    async () => {
      const jar = new CookieJar();
      await signIn(jar, url, 'work');
      t.match(await sessionOf(jar, url), { user: { email: 'ann@example.com' } });
      return [workerAt('/_tollgate/auth/login/work'), workerAt('/_tollgate/auth/callback/work')];
    },
    ([began, ended]) => began !== undefined && ended !== undefined && began !== ended,
  );
});
