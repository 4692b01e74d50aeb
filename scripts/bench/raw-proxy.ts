// A process with Fastify in front of undici and nothing between: how fast a proxy of these two can be that leaves out
// everything else. Its argument is the URL of the upstream.

import type { ServerResponse } from 'node:http';
import fastify from 'fastify';
import { Pool } from 'undici';

const [, , upstream = ''] = process.argv;
const pool = new Pool(upstream, { connections: 128 });
const app = fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', (_request, _body, done) => done(null));
app.all('/*', (request, reply) => {
  reply.hijack();
  const { method, url, headers, raw } = request;
  const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  const { connection: _, 'transfer-encoding': __, ...fields } = headers;
  pool.dispatch({ method, path: url, headers: fields, body: hasBody ? raw : null }, receiverOf(reply.raw));
});
const address = await app.listen({ host: '127.0.0.1', port: 0 });

process.on('message', () => process.send?.(address));
process.on('disconnect', () => process.exit());

/** Writes the answer as it comes; a caller that has left gets nothing more. */
function receiverOf(response: ServerResponse): Parameters<Pool['dispatch']>[1] {
  return {
    onRequestStart: (controller) => {
      response.once('close', () => {
        if (!response.writableFinished) controller.abort(new Error('the caller has left'));
      });
    },
    onResponseStart: (
      _controller,
      status,
      { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...fields },
    ) => {
      response.writeHead(status, fields);
    },
    onResponseData: (controller, chunk) => {
      if (response.write(chunk)) return;
      controller.pause();
      response.once('drain', () => controller.resume());
    },
    onResponseEnd: () => {
      response.end();
    },
    onResponseError: () => {
      if (response.headersSent) response.destroy();
      else response.writeHead(502).end();
    },
  };
}
