// What upstreams get wrong, and what the caller sees then: an error that says so, or an answer that nobody can take for
// whole. None of it is charged.

import { strict as assert } from 'node:assert';
import { until } from '../../helpers/until.ts';
import type { Wire } from '../../helpers/wire.ts';
import type { ProxyCase } from '../proxy-case.ts';
import type { Front, Rig } from '../rig.ts';
import { headOf } from './upstreams-of-bytes.ts';

type End = 'stays' | 'closes' | 'resets';

/** An answer, and what becomes of the connection after it. */
interface Said {
  readonly text: string;
  readonly end: End;
}

const closes = (text: string): Said => ({ text, end: 'closes' });
const resets = (text: string): Said => ({ text, end: 'resets' });

const ok = 'HTTP/1.1 200 OK\r\n';

/** What is said → it is no answer. */
const unusable: Readonly<Record<string, Said>> = {
  'another protocol': closes('220 mail.example ESMTP\r\n\r\n'),
  'the greeting of TLS': closes('\x15\x03\x01\x00\x02\x02\x28'),
  'the preface of HTTP/2': closes('\0\0\x12\x04\0\0\0\0\0\r\n\r\n'),
  nothing: closes(''),
  'a broken connection': resets(''),
  'half a header': closes(`${ok}Content-Le`),
  'half a header before the connection breaks': resets(`${ok}Content-Le`),
  'two lengths': closes(`${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!`),
  'a length that is none': closes(`${ok}Content-Length: two\r\n\r\nok`),
  'a length and chunks': closes(`${ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
  'a space before a colon': closes(`${ok}X-Odd : 1\r\nContent-Length: 2\r\n\r\nok`),
  'a NUL in a value': closes(`${ok}X-Odd: a\0b\r\nContent-Length: 2\r\n\r\nok`),
  'a status of two digits': closes('HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok'),
  'a status of four digits': closes('HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok'),
  'a status beyond 599': closes('HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok'),
  'an upgrade that nobody asked for': closes(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  ),
  'a header of 100 kB': closes(`${ok}X-Large: ${'x'.repeat(100_000)}\r\nContent-Length: 2\r\n\r\nok`),
};

/** What is said → it begins as an answer, and is not whole. */
const cut: Readonly<Record<string, Said>> = {
  'ends before its length': closes(`${ok}Content-Length: 100\r\n\r\nsome of it`),
  'breaks off before its length': resets(`${ok}Content-Length: 100\r\n\r\nsome of it`),
  'ends between its chunks': closes(`${ok}Transfer-Encoding: chunked\r\n\r\na\r\nsome of it\r\n`),
  'breaks off between its chunks': resets(`${ok}Transfer-Encoding: chunked\r\n\r\na\r\nsome of it\r\n`),
  'has a chunk whose size is none': closes(`${ok}Transfer-Encoding: chunked\r\n\r\na\r\nsome of it\r\nzz\r\n`),
  'breaks off where only the end would have ended it': resets(`${ok}\r\nsome of it`),
};

export const oddAnswerCases: readonly ProxyCase[] = [
  ...Object.entries(unusable).map(
    ([what, said]): ProxyCase => ({
      name: `an upstream that answers with ${what} is a 502`,
      charges: 0,
      run: async (rig) => {
        const front = await saying(rig, said);
        const answer = await front.connect().send(front.get('/')).answer();
        assert.equal(answer.status, 502);
        await assertServes(front);
      },
    }),
  ),
  ...Object.entries(cut).map(
    ([what, said]): ProxyCase => ({
      name: `an answer that ${what} is not taken for whole`,
      charges: 0,
      run: async (rig) => {
        // What is said last waits for what came before to be with the caller: so it is the answer that is cut.
        let arrived = false;
        const front = await rig.speak(async (wire) => {
          await headOf(wire);
          wire.send(said.text);
          await until(
            () => arrived,
            (has) => has,
          );
          finish(wire, said.end);
        });
        const wire = front.connect().send(front.get('/'));
        await wire.waitFor('some of it').finally(() => {
          arrived = true;
        });
        await wire.waitForClose();
        const isCut =
          wire.wasReset ||
          (await wire.answer().then(
            () => false,
            () => true,
          ));
        assert.equal(isCut, true, `taken for whole: ${JSON.stringify(wire.received)}`);
      },
    }),
  ),
  {
    name: 'what follows an answer beyond its length reaches nobody',
    run: async (rig) => {
      const front = await saying(rig, {
        text: `${ok}Content-Length: 2\r\n\r\nok${ok}Content-Length: 4\r\n\r\nevil`,
        end: 'stays',
      });
      const wire = front.connect();
      for (let i = 0; i < 3; i++) {
        const answer = await wire.send(front.get(`/${i}`)).answer();
        assert.equal(answer.body === 'ok' || answer.status === 502, true, answer.body);
      }
      assert.doesNotMatch(wire.received, /evil/);
    },
  },
  {
    name: 'an answer that comes before it is asked for reaches nobody',
    run: async (rig) => {
      let connections = 0;
      const front = await rig.speak(async (wire) => {
        connections += 1;
        await headOf(wire);
        wire.send('HTTP/1.1 200 OK', 'Content-Length: 2', '', 'ok');
        if (connections === 1) setImmediate(() => wire.send('HTTP/1.1 200 OK', 'Content-Length: 4', '', 'evil'));
      });
      assert.equal(String((await front.call('/1')).body), 'ok');
      assert.equal(String((await front.call('/2')).body), 'ok');
    },
  },
  {
    name: 'an upstream that does not answer in time is a 504',
    charges: 0,
    options: { responseHeaderTimeoutMs: 300 },
    run: async (rig) => {
      const front = await saying(rig, { text: `${ok}Content-Le`, end: 'stays' });
      assert.equal((await front.connect().send(front.get('/')).answer()).status, 504);
    },
  },
  {
    name: 'an answer that does not go on in time is cut',
    charges: 0,
    options: { readTimeoutMs: 300 },
    run: async (rig) => {
      const front = await saying(rig, { text: `${ok}Content-Length: 100\r\n\r\nsome of it`, end: 'stays' });
      const wire = front.connect().send(front.get('/'));
      await wire.waitFor('some of it');
      await wire.waitForClose();
    },
  },
];

/** An upstream that says the same to everyone. */
function saying(rig: Rig, { text, end }: Said): Promise<Front> {
  return rig.speak(async (wire) => {
    await headOf(wire);
    wire.send(text);
    finish(wire, end);
  });
}

function finish(wire: Wire, end: End): void {
  if (end === 'closes') wire.socket.end();
  if (end === 'resets') wire.socket.resetAndDestroy();
}

/** The proxy has survived it, for others too. */
async function assertServes(front: Front): Promise<void> {
  assert.equal((await front.call('/again')).status, 502);
}
