import type { RequestListener } from 'node:http';
import t, { type Test } from 'tap';
import { CookieJar } from '../../helpers/cookie-jar.ts';
import { sessionOf, signIn } from '../../helpers/sign-in-gateways.ts';
import { failed, refusalOf, startOddGateway, unavailable } from './attempts.ts';

const json = { 'content-type': 'application/json' };
const secretText = 'a text that may hold a token';

/** What a provider may do instead of its part, and what comes of it. */
const failures: Record<string, { readonly answer: RequestListener; readonly said: readonly unknown[] }> = {
  fails: { answer: (_request, response) => response.writeHead(500).end(secretText), said: unavailable },
  'is overloaded': {
    answer: (_request, response) => response.writeHead(503, json).end('{"error":"temporarily_unavailable"}'),
    said: unavailable,
  },
  'hangs up': { answer: (_request, response) => response.destroy(), said: unavailable },
  'hangs up midway': {
    answer: (_request, response) => {
      response.writeHead(200, { ...json, 'content-length': 1_000 }).flushHeaders();
      response.write('{"access_token":"', () => response.destroy());
    },
    said: unavailable,
  },
  'answers with a page': {
    answer: (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(`<p>${secretText}`),
    said: unavailable,
  },
  'answers with what is no JSON': {
    answer: (_request, response) => response.writeHead(200, json).end(`{"access_token": ${secretText}`),
    said: unavailable,
  },
  'answers with nothing': { answer: (_request, response) => response.writeHead(200, json).end(), said: unavailable },
  'answers with null': { answer: (_request, response) => response.writeHead(200, json).end('null'), said: unavailable },
  'answers with a number': {
    answer: (_request, response) => response.writeHead(200, json).end('7'),
    said: unavailable,
  },
  'answers without end': {
    answer: (_request, response) => response.writeHead(200, json).end(`"${'x'.repeat(2 * 1024 * 1024)}"`),
    said: unavailable,
  },
  'leads elsewhere': {
    answer: (_request, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
    said: unavailable,
  },
};

t.test('a token endpoint that does not do its part is the provider’s fault, and nothing of it is told', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  for (const [name, { answer, said }] of Object.entries(failures)) {
    odd.answers.set('/token', answer);
    const jar = new CookieJar();
    const visited = await signIn(jar, gate.url, 'odd');
    t.same(await refusalOf(visited), said, name);
    t.ok(visited.response.headers.get('retry-after'), name);
    t.equal(await sessionOf(jar, gate.url), 401, name);
  }
  odd.answers.delete('/token');
  const jar = new CookieJar();
  await signIn(jar, gate.url, 'odd');
  t.match(await sessionOf(jar, gate.url), { user: { email: 'ann@example.com' } }, 'and then it does');
  assertDiscreet(t, gate.log, [secretText, odd.clientSecret, 'odd-provider-code']);
});

t.test(
  'a userinfo endpoint that does not do its part is the provider’s fault, and nothing of it is told',
  async (t) => {
    const { gate, odd } = await startOddGateway(t);
    for (const [name, { answer }] of Object.entries(failures)) {
      odd.answers.set('/userinfo', answer);
      const refusal = await refusalOf(await signIn(new CookieJar(), gate.url, 'odd'));
      // A document that is none names nobody.
      t.same(refusal, name === 'answers with null' || name === 'answers with a number' ? failed : unavailable, name);
    }
    assertDiscreet(t, gate.log, [secretText, 'odd-provider-access-token', 'odd-provider-code', odd.clientSecret]);
  },
);

t.test('a provider whose keys cannot be had is the one that does not answer', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  odd.answers.set('/keys', (_request, response) => response.writeHead(500).end());
  t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'odd')), unavailable);
});

t.test('a provider that takes no code says so in the log, by its own word and no other', async (t) => {
  const { gate, odd } = await startOddGateway(t);
  const words = {
    invalid_grant: 'invalid_grant',
    [`${secretText}!`]: 'without a code',
    ['x'.repeat(65)]: 'without a code',
  };
  for (const [error, told] of Object.entries(words)) {
    for (const status of [400, 200]) {
      odd.answers.set('/token', (_request, response) => {
        response.writeHead(status, json).end(JSON.stringify({ error, error_description: secretText }));
      });
      t.same(await refusalOf(await signIn(new CookieJar(), gate.url, 'odd')), failed, `${status} ${error}`);
      t.match(
        gate.log.findLast(({ level }) => level === 'warn'),
        { provider: 'odd', why: new RegExp(`${told}$`), msg: 'a sign-in failed' },
      );
    }
  }
  assertDiscreet(t, gate.log, [secretText, 'odd-provider-code', odd.clientSecret]);
});

function assertDiscreet(t: Test, log: readonly object[], secrets: readonly string[]): void {
  const text = JSON.stringify(log);
  for (const secret of secrets) t.notMatch(text, secret);
  t.notMatch(text, 'TG_INTERNAL');
  t.notOk(log.some((line) => (line as { level?: unknown }).level === 'error'));
}
