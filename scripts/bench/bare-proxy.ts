// A process with @fastify/http-proxy as its own README starts it, with default options and no meter. It is what Tollgate is
// compared with, by the bench and by the proxy suite. Arguments: the URL of the upstream; `websocket` if it forwards these.

import httpProxy from '@fastify/http-proxy';
import fastify from 'fastify';

const [, , upstream = '', more] = process.argv;
const app = fastify();
await app.register(httpProxy, { upstream, websocket: more === 'websocket' });
const address = await app.listen({ host: '127.0.0.1', port: 0 });

process.on('message', () => process.send?.(address));
process.on('disconnect', () => process.exit());
