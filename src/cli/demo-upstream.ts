// The sample API behind `tollgate demo`: it echoes calls, fails on demand, streams, and speaks as much of the OpenAI
// chat API as a client needs to try it.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

export interface DemoUpstream {
  readonly url: string;
  close(): Promise<void>;
}

/** The most it reads of a request. */
const bodyBytesMax = 1024 * 1024;
const eventCount = 5;
const eventEveryMs = 200;
const wordEveryMs = 50;

/** Starts it on a free port. */
export async function startDemoUpstream(host: string): Promise<DemoUpstream> {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, search } = new URL(request.url ?? '/', 'http://sample');
  const body = await readBody(request);
  if (body === null) return sendJson(response, 413, { error: `At most ${bodyBytesMax} bytes, please.` });
  const status = /^\/status\/([2-5]\d\d)$/.exec(pathname)?.[1];
  if (status !== undefined) return sendJson(response, Number(status), { status: Number(status) });
  if (pathname === '/stream') return sendEvents(response);
  if (pathname === '/v1/chat/completions') return complete(response, body);
  return sendJson(response, 200, { method: request.method, path: pathname + search, headers: request.headers, body });
}

/** The body as text, or null when there is too much of it. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= bodyBytesMax) chunks.push(chunk);
  }
  return bytes > bodyBytesMax ? null : Buffer.concat(chunks).toString('utf8');
}

function sendJson(response: ServerResponse, status: number, document: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(status === 204 || status === 304 ? undefined : `${JSON.stringify(document, null, 2)}\n`);
}

async function sendEvents(response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let i = 1; i <= eventCount && !response.destroyed; i++) {
    response.write(`data: ${JSON.stringify({ event: i, of: eventCount })}\n\n`);
    await setTimeout(eventEveryMs);
  }
  response.end();
}

/** A chat completion that repeats what it was told, whole or word by word. */
async function complete(response: ServerResponse, body: string): Promise<void> {
  const call = readCall(body);
  if (call === null) {
    const message = 'Send JSON with messages: [{ "role": "user", "content": "…" }].';
    return sendJson(response, 400, { error: { message, type: 'invalid_request_error', param: null, code: null } });
  }
  const head = { id: `chatcmpl-${Date.now()}`, created: Math.floor(Date.now() / 1000), model: call.model };
  const words = `You said: ${call.prompt}`.split(/(?<= )/);
  if (call.isStream) return streamCompletion(response, head, words);
  const message = { role: 'assistant', content: words.join(''), refusal: null };
  const usage = {
    prompt_tokens: words.length - 2,
    completion_tokens: words.length,
    total_tokens: 2 * words.length - 2,
  };
  const choices = [{ index: 0, message, logprobs: null, finish_reason: 'stop' }];
  return sendJson(response, 200, { ...head, object: 'chat.completion', choices, usage });
}

async function streamCompletion(response: ServerResponse, head: object, words: readonly string[]): Promise<void> {
  const send = (delta: object, finish_reason: string | null) => {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason }];
    response.write(`data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices })}\n\n`);
  };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  send({ role: 'assistant', content: '' }, null);
  for (const content of words) {
    if (response.destroyed) return;
    send({ content }, null);
    await setTimeout(wordEveryMs);
  }
  send({}, 'stop');
  response.end('data: [DONE]\n\n');
}

function readCall(body: string): { model: string; prompt: string; isStream: boolean } | null {
  try {
    const { model, messages, stream } = JSON.parse(body);
    const prompt = messages.at(-1).content;
    if (typeof prompt !== 'string') return null;
    return { model: typeof model === 'string' ? model : 'sample', prompt, isStream: stream === true };
  } catch {
    return null;
  }
}
