// An upstream that speaks OpenAI's chat completions. A streamed one says nothing of its own accord: the test holds the
// pen, so that what a client has received is known to have come before what has not been written yet.

import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';

/** A streamed completion that an upstream has begun: the header is sent. */
export interface ChatStream {
  /** Sends one event with a piece of the answer. */
  say(text: string): void;
  /** Sends the last event and ends the answer. */
  finish(): void;
  /** Breaks the answer off. */
  fail(): void;
  /** How it came to its end; `cut` is before its last byte was sent. */
  readonly ended: Promise<'whole' | 'cut'>;
}

export interface ChatUpstream {
  readonly answer: RequestListener;
  /** Bodies of the requests so far. */
  readonly asked: unknown[];
  /** Streamed completions so far. */
  readonly streams: ChatStream[];
}

const facts = { id: 'chatcmpl-1', created: 1_750_000_000, model: 'sample' };

/** Answers `{ stream: true }` with a stream for the test to write, and everything else with "Hello!". */
export function chatUpstream(): ChatUpstream {
  const asked: unknown[] = [];
  const streams: ChatStream[] = [];
  const converse = async (request: IncomingMessage, response: ServerResponse) => {
    const body = (await json(request)) as { stream?: boolean };
    asked.push(body);
    if (body.stream === true) streams.push(openStream(response));
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completion));
  };
  const answer: RequestListener = (request, response) => {
    converse(request, response).catch((error: Error) => response.destroy(error));
  };
  return { answer, asked, streams };
}

const completion = {
  ...facts,
  object: 'chat.completion',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'Hello!', refusal: null },
      finish_reason: 'stop',
      logprobs: null,
    },
  ],
  usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
};

function openStream(response: ServerResponse): ChatStream {
  const write = (delta: object, finish_reason: string | null) => {
    const chunk = { ...facts, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason }] };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  return {
    say: (content) => write({ content }, null),
    finish: () => {
      write({}, 'stop');
      response.end('data: [DONE]\n\n');
    },
    fail: () => response.destroy(),
    ended: once(response, 'close').then(() => (response.writableFinished ? 'whole' : 'cut')),
  };
}
