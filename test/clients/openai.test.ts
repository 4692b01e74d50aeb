// The real `openai` client through a whole gateway: all it is told is another base URL and a key of the gateway.

import OpenAI, { APIError, AuthenticationError } from 'openai';
import t, { type Test } from 'tap';
import { startTestGateway, type TestGateway } from '../helpers/gateways.ts';
import { until } from '../helpers/until.ts';
import { chatUpstream } from './chat-upstream.ts';

const question = { model: 'sample', messages: [{ role: 'user' as const, content: 'Hello?' }] };
const insufficient = 'Insufficient credits. Please contact support to add more credits to your account.';

t.test('a chat completion is answered and charged', async (t) => {
  const { gate, chat, clientOf } = await startChat(t);
  const client = clientOf(await gate.newKey('u', 100));
  const { data, response } = await client.chat.completions.create(question).withResponse();
  t.equal(data.choices[0]?.message.content, 'Hello!');
  t.match(Object.fromEntries(response.headers), { 'x-credits-cost': '7', 'x-credits-remaining': '93' });
  t.same(chat.asked, [question]);
  const [seen] = gate.upstream.seen;
  t.match(seen, { method: 'POST', url: '/v1/chat/completions', headers: { 'x-tollgate-user': 'u' } });
  t.equal(seen?.headers.authorization, undefined, 'the key stays with the gateway');
  t.match(await chargesOf(gate), [{ user_id: 'u', amount: -7, status: 200 }]);
});

t.test('a streamed completion arrives event by event, and is charged when it has ended', async (t) => {
  const { gate, openStream } = await startChat(t);
  const { answer, source } = await openStream(await gate.newKey('u', 100));
  const events = answer[Symbol.asyncIterator]();
  for (const word of ['one', 'two', 'three']) {
    source.say(word);
    const { value } = await events.next();
    t.equal(value?.choices[0]?.delta.content, word, 'is received before the next is written');
  }
  t.equal(await holdsOpenIn(gate), 1, 'as long as it streams, its credits are held');
  source.finish();
  t.equal((await events.next()).value?.choices[0]?.finish_reason, 'stop');
  t.ok((await events.next()).done);
  t.match(await chargesOf(gate), [{ user_id: 'u', amount: -7, status: 200 }]);
  t.equal(await holdsOpenIn(gate), 0);
});

t.test('a client that aborts its stream midway is charged, and the upstream is given up', async (t) => {
  const { gate, openStream } = await startChat(t);
  const leave = new AbortController();
  const { answer, source } = await openStream(await gate.newKey('u', 100), leave.signal);
  source.say('one');
  const words: unknown[] = [];
  for await (const event of answer) {
    words.push(event.choices[0]?.delta.content);
    leave.abort();
  }
  t.same(words, ['one']);
  t.equal(await source.ended, 'cut');
  t.match(await chargesOf(gate), [{ user_id: 'u', amount: -7, status: 200 }]);
});

t.test('an upstream that fails mid-stream is an error to the client, and free', async (t) => {
  const { gate, openStream } = await startChat(t);
  const { answer, source } = await openStream(await gate.newKey('u', 100));
  source.say('one');
  const events = answer[Symbol.asyncIterator]();
  await events.next();
  source.fail();
  await t.rejects(events.next());
  await until(
    () => holdsOpenIn(gate),
    (open) => open === 0,
  );
  await gate.gateway.close();
  t.same(await ledgerOf(gate), []);
});

t.test('a client without enough credits raises an APIError with the 402 and its text', async (t) => {
  const { gate, clientOf } = await startChat(t);
  const error = await errorOf(clientOf(await gate.newKey('u', 6)));
  t.equal(error.status, 402);
  t.ok(error.message.includes(insufficient), error.message);
  t.equal(error.headers?.get('x-credits-required'), '7');
  t.equal(gate.log.filter(({ msg }) => msg === 'refusal').length, 1, 'the client does not try again');
  t.equal(gate.upstream.seen.length, 0);
});

t.test('a client with a wrong key raises an AuthenticationError', async (t) => {
  const { gate, clientOf } = await startChat(t);
  const error = await errorOf(clientOf('tg_wrong'));
  t.type(error, AuthenticationError);
  t.equal(error.status, 401);
  t.equal(error.headers?.get('x-tollgate-error'), 'TG_AUTH_INVALID');
  t.equal(gate.upstream.seen.length, 0);
});

/** A gateway in front of a chat upstream, where a completion costs 7 credits. */
async function startChat(t: Test) {
  const chat = chatUpstream();
  const gate = await startTestGateway(t, 'sqlite', '  - { path: /v1, upstream: api, cost: 7 }', chat.answer);
  const clientOf = (apiKey: string) => new OpenAI({ baseURL: `${gate.gateway.address}/v1`, apiKey });
  /** Resolves with the header of the answer, before any event: the client's end of the stream and the upstream's. */
  const openStream = async (key: string, signal?: AbortSignal) => {
    const options = signal === undefined ? {} : { signal };
    const answer = await clientOf(key).chat.completions.create({ ...question, stream: true }, options);
    const [source] = chat.streams;
    if (source === undefined) throw new Error('answered without the upstream');
    return { answer, source };
  };
  return { gate, chat, clientOf, openStream };
}

async function errorOf(client: OpenAI): Promise<APIError> {
  const error = await client.chat.completions.create(question).catch((reason: unknown) => reason);
  if (error instanceof APIError) return error;
  throw new Error('not refused', { cause: error });
}

/** The charges, once there is one. */
function chargesOf(gate: TestGateway) {
  return until(
    () => ledgerOf(gate),
    (charges) => charges.length > 0,
  );
}

function ledgerOf({ test }: TestGateway) {
  return test.database.db.selectFrom('ledger').selectAll().where('kind', '=', 'charge').execute();
}

async function holdsOpenIn({ gateway }: TestGateway): Promise<number> {
  const metrics = await (await fetch(`${gateway.opsAddress}/metrics`)).text();
  return Number(/^tollgate_holds_open (\d+)$/m.exec(metrics)?.[1]);
}
