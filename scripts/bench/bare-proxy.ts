// Process of the bench: @fastify/http-proxy as its own README starts it, with default options and no meter. It is what
// Tollgate is compared with. Argument: the URL of the upstream.

import httpProxy from '@fastify/http-proxy';
import fastify from 'fastify';

const app = fastify();
await app.register(httpProxy, { upstream: process.argv[2] ?? '' });
const address = await app.listen({ host: '127.0.0.1', port: 0 });

process.on('message', () => process.send?.(address));
process.on('disconnect', () => process.exit());
