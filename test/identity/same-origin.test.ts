import t, { type Test } from 'tap';
import { noteCredentialIn } from '../helpers/evidence.ts';
import type { RawAnswer } from '../helpers/raw-answer.ts';
import { sessionIdIn, startVisitedGateway, tellingOf, type VisitedGateway } from '../helpers/visitors.ts';
import { Wire } from '../helpers/wire.ts';

type Fields = Readonly<Record<string, string>>;

const upgrade = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const requests: [string, string, Fields][] = [
  ['GET', 'GET', {}],
  ['HEAD', 'HEAD', {}],
  ['POST', 'POST', { 'content-length': '0' }],
  ['OPTIONS that is no preflight', 'OPTIONS', {}],
  ['WebSocket', 'GET', upgrade],
];

t.test('on a route a session counts for pages of the origin alone, whatever the method', async (t) => {
  const { gate, send } = await startGate(t);
  const { origin: own } = new URL(gate.url);
  const portal = own.replace('127.0.0.1', 'localhost');
  const strange = 'https://evil.example';
  const proofs: [Fields, boolean][] = [
    [{ 'sec-fetch-site': 'same-origin' }, true],
    [{ 'sec-fetch-site': 'same-origin', origin: own }, true],
    [{ origin: own }, true],
    [{ origin: portal }, true],
    [{}, false],
    [{ origin: strange }, false],
    [{ origin: 'null' }, false],
    [{ origin: '' }, false],
    [{ origin: `${own}.evil.example` }, false],
    [{ origin: own.replace('http:', 'https:') }, false],
    [{ origin: `${own}/` }, false],
    [{ origin: own.replace(/:\d+$/, ':1') }, false],
    [{ referer: `${own}/` }, false],
    ...['cross-site', 'same-site', 'none', '', 'Same-Origin', 'same-origin, same-origin'].flatMap(
      (site): [Fields, boolean][] => [
        [{ 'sec-fetch-site': site }, false],
        [{ 'sec-fetch-site': site, origin: own }, false],
      ],
    ),
  ];
  for (const [name, method, fields] of requests) {
    await t.test(name, async (t) => {
      let charged = 0;
      for (const [proof, counts] of proofs) {
        const seen = gate.upstream.seen.length;
        const upgraded = gate.upgrades.length;
        const answer = await send(method, '/', { ...fields, ...proof });
        const told = JSON.stringify(proof);
        const reached = gate.upstream.seen.length - seen + gate.upgrades.length - upgraded;
        t.equal(reached, counts ? 1 : 0, `reached: ${told}`);
        if (counts) {
          charged += 7;
          t.equal(answer.status, fields === upgrade ? 101 : 200, told);
        } else {
          t.equal(answer.status, 401, told);
          t.equal(fieldOf(answer, 'x-tollgate-error'), 'TG_AUTH_MISSING', told);
        }
      }
      const before = gate.credits;
      gate.credits = await creditsOf(send);
      t.equal(before - gate.credits, charged, 'and what did not count was not charged');
    });
  }
});

t.test('on own paths reading needs no proof, but nothing may say that somebody else asks', async (t) => {
  const { gate, send } = await startGate(t);
  const { origin: own } = new URL(gate.url);
  const portal = own.replace('127.0.0.1', 'localhost');
  for (const path of ['session', 'credits', 'keys', 'ledger', 'usage']) {
    const statusWith = async (proof: Fields) => (await send('GET', `/_tollgate/api/${path}`, proof)).status;
    t.equal(await statusWith({}), 200, path);
    t.equal(await statusWith({ 'sec-fetch-site': 'same-origin' }), 200);
    t.equal(await statusWith({ 'sec-fetch-site': 'none' }), 200, 'an address that was typed');
    t.equal(await statusWith({ origin: portal }), 200);
    for (const site of ['cross-site', 'same-site', '']) {
      t.equal(await statusWith({ 'sec-fetch-site': site }), 401, `${path} ${site}`);
      t.equal(await statusWith({ 'sec-fetch-site': site, origin: portal }), 401, `${path} ${site}`);
    }
    for (const origin of ['https://evil.example', 'null', '', own]) {
      t.equal(await statusWith({ origin }), 401, `${path} ${origin}`);
    }
  }
});

t.test('on own paths a change needs proof of a page of the portal', async (t) => {
  const { gate, send } = await startGate(t);
  const { origin: own } = new URL(gate.url);
  const portal = own.replace('127.0.0.1', 'localhost');
  const post = async (proof: Fields) => {
    const answer = await send('POST', '/_tollgate/api/keys', { 'content-length': '0', ...proof });
    for (const [key] of answer.body.matchAll(/tg_[0-9A-Za-z]{38}/g)) noteCredentialIn(key);
    return [answer.status, fieldOf(answer, 'x-tollgate-error') ?? null];
  };
  const bad: Fields[] = [
    {},
    { origin: own },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site', origin: portal },
    { 'sec-fetch-site': 'same-site', origin: portal },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'same-origin', origin: own },
  ];
  for (const proof of bad) t.same(await post(proof), [401, 'TG_AUTH_MISSING'], JSON.stringify(proof));
  t.same(JSON.parse((await send('GET', '/_tollgate/api/keys', {})).body), { keys: [] });
  t.same(await post({ origin: portal }), [201, null]);
  t.same(await post({ 'sec-fetch-site': 'same-origin', origin: portal }), [201, null]);
  t.same(await post({ 'sec-fetch-site': 'same-origin' }), [201, null]);
});

t.test('the answer to a session says who has signed in and what is left, and nothing else will do', async (t) => {
  const { gate, send } = await startGate(t);
  const path = '/_tollgate/api/session';
  const answer = await send('GET', path, {});
  t.equal(fieldOf(answer, 'cache-control'), 'no-store');
  const told = JSON.parse(answer.body);
  t.strictSame(told, {
    user: {
      ...{ id: told.user.id, email: 'ann@b.example', name: 'ann', picture: null },
      ...{ plan: 'Basic', credits: 5000 },
    },
    expiresAt: new Date(told.expiresAt).toISOString(),
  });
  await send('GET', '/', { 'sec-fetch-site': 'same-origin' });
  t.equal(await creditsOf(send), 4993, 'with a charge that is on its way');
  t.same(await tellingOf(fetch(gate.gateway.address + path)), [401, 'TG_AUTH_MISSING']);
  t.same(await tellingOf(gate.call(await gate.newKey('u', 10), path)), [401, 'TG_AUTH_NOT_ACCEPTED']);
});

type Send = (method: string, path: string, fields: Fields) => Promise<RawAnswer>;

interface Gate extends VisitedGateway {
  /** Paths that the upstream was asked to upgrade. */
  readonly upgrades: string[];
  /** What the user had when it was looked at last. */
  credits: number;
}

/** A gateway with its portal on another host, where somebody has signed in. */
async function startGate(t: Test): Promise<{ gate: Gate; send: Send }> {
  const visited = await startVisitedGateway(t, 'sqlite', { portalUrl: 'http://localhost:PORT' });
  const jar = await visited.enter('ann');
  const id = sessionIdIn(jar, visited.url.replace('127.0.0.1', 'localhost'));
  const upgrades: string[] = [];
  visited.upstream.server.on('upgrade', ({ url = '' }, socket) => {
    upgrades.push(url);
    socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  const port = Number(new URL(visited.gateway.address).port);
  const send: Send = async (method, path, fields) => {
    const lines = Object.entries({ cookie: `tollgate_session=${id}`, ...fields }).map((each) => each.join(': '));
    const wire = Wire.to(port).send(`${method} ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...lines, '', '');
    const answer = await wire.answer(method);
    wire.leave();
    return answer;
  };
  return { gate: Object.assign({}, visited, { upgrades, credits: 5000 }), send };
}

async function creditsOf(send: Send): Promise<number> {
  return JSON.parse((await send('GET', '/_tollgate/api/session', {})).body).user.credits;
}

function fieldOf({ lines }: RawAnswer, name: string): string | undefined {
  const line = lines.find((each) => each.toLowerCase().startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim();
}
