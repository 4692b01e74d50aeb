// The rig of one case: an upstream, the proxy in front of it, callers, and the end of all three. Sockets are real, ports
// are the system's choice, everything is on the loopback.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createByteServer, type Server, type Socket } from 'node:net';
import { request } from 'undici';
import { Wire } from '../helpers/wire.ts';
import type { Subject } from './subject.ts';

/** An upstream with the proxy in front of it. */
export interface Front {
  readonly port: number;
  /** Of the upstream itself, for what names it. */
  readonly upstreamUrl: string;
  /** The connections that the upstream has had, oldest first. */
  readonly upstream: readonly Socket[];
  /** The requests that an upstream of `serve` has had. */
  readonly asked: readonly string[];
  /** Opens a connection to the proxy. */
  connect(): Wire;
  /** The bytes of a request header with the caller's credential: the lines given, then the credential. */
  head(...lines: string[]): string;
  /** Likewise for a GET, as most callers send it. */
  get(path: string, ...fields: string[]): string;
  /** One ordinary call by an ordinary client. */
  call(path: string, options?: CallOptions): Promise<CallAnswer>;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface CallAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** How an upstream answers one request, and what one of bytes says on one connection. A failure ends the connection. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;
export type Talk = (wire: Wire) => unknown;

export class Rig {
  readonly #open: (upstreamUrl: string) => Promise<Subject>;
  readonly #callers: Wire[] = [];
  readonly #upstreams: (() => void)[] = [];
  readonly #subjects: Subject[] = [];

  constructor(open: (upstreamUrl: string) => Promise<Subject>) {
    this.#open = open;
  }

  /** An upstream of Node's HTTP server. */
  async serve(answer: Answer): Promise<Front> {
    const asked: string[] = [];
    const server = createServer(async (request, response) => {
      asked.push(`${request.method} ${request.url}`);
      try {
        await answer(request, response);
      } catch {
        response.destroy();
      }
    });
    const upstream = this.#keep(server);
    return this.front(await listen(server), { upstream, asked });
  }

  /** An upstream that speaks bytes. */
  async speak(talk: Talk): Promise<Front> {
    const server = createByteServer(async (socket) => {
      const wire = new Wire(socket);
      try {
        await talk(wire);
      } catch {
        wire.leave();
      }
    });
    const upstream = this.#keep(server);
    return this.front(await listen(server), { upstream });
  }

  /** A proxy in front of an upstream that is elsewhere. */
  async front(
    upstreamUrl: string,
    { upstream = [], asked = [] }: { upstream?: readonly Socket[]; asked?: readonly string[] } = {},
  ): Promise<Front> {
    const subject = await this.#open(upstreamUrl);
    this.#subjects.push(subject);
    const { port, credential } = subject;
    const head = (...lines: string[]) => [...lines, ...credential, '', ''].join('\r\n');
    return {
      port,
      upstreamUrl,
      upstream,
      asked,
      connect: () => {
        const wire = Wire.to(port);
        this.#callers.push(wire);
        return wire;
      },
      head,
      get: (path, ...fields) => head(`GET ${path} HTTP/1.1`, 'Host: h', ...fields),
      call: (path, options = {}) => callOnce(`http://127.0.0.1:${port}${path}`, credential, options),
    };
  }

  /** Ends callers and upstreams, and then the proxies, which have nothing left to wait for. */
  async close(): Promise<void> {
    for (const wire of this.#callers) wire.leave();
    for (const end of this.#upstreams) end();
    for (const subject of this.#subjects) await subject.close();
  }

  /** The connections of a server; they and the server end with the case. */
  #keep(server: Server): readonly Socket[] {
    const all: Socket[] = [];
    server.on('connection', (socket: Socket) => {
      all.push(socket);
      socket.on('error', () => {});
    });
    this.#upstreams.push(() => {
      for (const socket of all) socket.destroy();
      server.close();
    });
    return all;
  }
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function callOnce(url: string, credential: readonly string[], options: CallOptions): Promise<CallAnswer> {
  const headers = { ...Object.fromEntries(credential.map((line) => line.split(': '))), ...options.headers };
  const { method = 'GET', body = null } = options;
  // A connection of its own: what an earlier case has left behind is no part of this one.
  const answer = await request(url, { method, body, headers, reset: true });
  const bytes = Buffer.from(await answer.body.arrayBuffer());
  return { status: answer.statusCode, headers: answer.headers, body: bytes };
}
