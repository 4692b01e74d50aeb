// Errors as answers: the fields and bodies that go with each code.

import Fastify, { type FastifyInstance } from 'fastify';
import t, { type Test } from 'tap';
import { registerErrorHandler } from '../src/error-handler.ts';
import { TollgateError } from '../src/errors.ts';

/** A server whose only path throws this error. */
function throwing(t: Test, error: Error, topUpUrl: string | null = null): FastifyInstance {
  const app = Fastify();
  t.teardown(() => app.close());
  registerErrorHandler(app, { topUpUrl, commonFields: () => ({ 'x-common': 'c' }), pageOf: () => null });
  app.all('/', () => {
    throw error;
  });
  return app;
}

t.test('an error is a status, a code, a public message and the request id, and is not to be stored', async (t) => {
  const answer = await throwing(t, new TollgateError('TG_USER_BLOCKED')).inject('/');
  t.equal(answer.statusCode, 403);
  t.equal(answer.body, '{"error":"This account is blocked. Please contact support."}');
  t.match(answer.headers, { 'x-tollgate-error': 'TG_USER_BLOCKED', 'cache-control': 'no-store', 'x-request-id': /./ });
  t.equal(answer.headers['x-common'], 'c');
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
});

t.test('a 401 says how to identify, and whether a credential was sent', async (t) => {
  const challenges = {
    TG_AUTH_MISSING: 'Bearer realm="tollgate"',
    TG_AUTH_INVALID: 'Bearer realm="tollgate", error="invalid_token"',
  } as const;
  for (const code of ['TG_AUTH_MISSING', 'TG_AUTH_INVALID'] as const) {
    const answer = await throwing(t, new TollgateError(code)).inject('/');
    t.equal(answer.headers['www-authenticate'], challenges[code]);
  }
});

t.test('a 402 says what was short, and where to get more if there is such a place', async (t) => {
  const error = new TollgateError('TG_KEY_LIMIT_REACHED', { required: 7, remaining: 2 });
  const answer = await throwing(t, error, 'https://pay.example/?a=b').inject('/');
  t.match(answer.headers, { 'x-credits-required': '7', 'x-credits-cost': '0', 'x-credits-remaining': '2' });
  t.equal(answer.headers.link, '<https://pay.example/?a=b>; rel="payment"');
  t.notOk('link' in (await throwing(t, error).inject('/')).headers);
});

t.test('a 405 lists the methods, a 503 says when to try again', async (t) => {
  const wrongMethod = new TollgateError('TG_METHOD_NOT_ALLOWED', { allow: 'GET, HEAD' });
  t.equal((await throwing(t, wrongMethod).inject('/')).headers.allow, 'GET, HEAD');
  t.equal((await throwing(t, new TollgateError('TG_STORE_UNAVAILABLE')).inject('/')).headers['retry-after'], '1');
});

t.test('who accepts problem+json gets it, with the code, what was short and the request id', async (t) => {
  const app = throwing(t, new TollgateError('TG_CREDITS_INSUFFICIENT', { required: 3, remaining: 1 }));
  const answer = await app.inject({ url: '/', headers: { accept: 'application/problem+json, */*;q=0.1' } });
  t.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8');
  t.strictSame(answer.json(), {
    type: 'about:blank',
    title: 'Payment Required',
    status: 402,
    detail: 'Insufficient credits. Please contact support to add more credits to your account.',
    code: 'TG_CREDITS_INSUFFICIENT',
    required: 3,
    remaining: 1,
    requestId: answer.headers['x-request-id'],
  });
});

t.test('only who names problem+json, and not to refuse it, gets it', async (t) => {
  const app = throwing(t, new TollgateError('TG_USER_BLOCKED'));
  const isProblem = async (accept: string): Promise<boolean> => {
    const answer = await app.inject({ url: '/', headers: { accept } });
    return answer.headers['content-type'] === 'application/problem+json; charset=utf-8';
  };
  for (const accept of ['Application/Problem+JSON', 'text/html, application/problem+json;q=0.9']) {
    t.equal(await isProblem(accept), true, accept);
  }
  for (const accept of ['*/*', 'application/json', 'application/json, application/problem+json; q=0.0']) {
    t.equal(await isProblem(accept), false, accept);
  }
});

t.test('errors of others get a code of ours and keep their message to the log', async (t) => {
  const lines: string[] = [];
  const app = Fastify({ logger: { stream: { write: (line: string) => lines.push(line) } } });
  t.teardown(() => app.close());
  registerErrorHandler(app, { topUpUrl: null, commonFields: () => ({}), pageOf: () => null });
  app.post('/', () => {
    throw new Error('connect ECONNREFUSED 10.0.0.1:5432');
  });
  const failed = await app.inject({ method: 'POST', url: '/' });
  t.match(failed, { statusCode: 500, headers: { 'x-tollgate-error': 'TG_INTERNAL' } });
  t.notMatch(failed.body, '10.0.0.1');
  t.match(lines.join(''), '10.0.0.1:5432');
  const json = { 'content-type': 'application/json' };
  for (const headers of [json, { 'content-type': 'text/odd' }]) {
    const unread = await app.inject({ method: 'POST', url: '/', payload: '{bad', headers });
    t.match(unread, { statusCode: 400, headers: { 'x-tollgate-error': 'TG_INPUT_INVALID' } });
  }
  t.match(await app.inject('/nowhere'), { statusCode: 404, headers: { 'x-tollgate-error': 'TG_ROUTE_NOT_FOUND' } });
});
