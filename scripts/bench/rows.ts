// The rows of the table: what may stand between the load and the upstream.

import { naive } from './naive.ts';
import type { Row } from './row.ts';
import { tollgate } from './tollgate.ts';
import { direct, proxy } from './unmetered.ts';

const bare = proxy('./bare-proxy.js');
const manyUsers = 10_000;

/** By the names that `--rows` takes, in the order of the table. */
export const rows: Readonly<Record<string, Row>> = {
  direct: { title: 'direct', open: direct },
  bare: { title: 'bare @fastify/http-proxy', open: bare },
  raw: { title: 'Fastify and raw undici', open: proxy('./raw-proxy.js') },
  sqlite: { title: 'Tollgate on SQLite', open: tollgate({ store: 'sqlite' }) },
  postgres: { title: 'Tollgate on PostgreSQL', open: tollgate({ store: 'postgres' }) },
  users: { title: 'Tollgate, 10,000 users', open: tollgate({ store: 'postgres', callers: manyUsers }) },
  naive: { title: 'the naive way', books: 'about', open: naive({ callers: 1 }) },
  'naive-users': { title: 'the naive way, 10,000 users', books: 'about', open: naive({ callers: manyUsers }) },
  token: { title: 'Tollgate, JWT', open: tollgate({ store: 'postgres', isWithToken: true }) },
  public: { title: 'Tollgate, public route', open: tollgate({ store: 'postgres', isPublic: true }) },
  down: { title: 'Tollgate, database down', open: tollgate({ store: 'postgres', isDown: true }) },
  'bare-1k': { title: 'bare, 1 kB', path: '/1k', baseline: 'bare-1k', open: bare },
  '1k': { title: 'Tollgate, 1 kB', path: '/1k', baseline: 'bare-1k', open: tollgate({ store: 'postgres' }) },
  'bare-100k': { title: 'bare, 100 kB', path: '/100k', baseline: 'bare-100k', open: bare },
  '100k': { title: 'Tollgate, 100 kB', path: '/100k', baseline: 'bare-100k', open: tollgate({ store: 'postgres' }) },
  'bare-sse': { title: 'bare, SSE of 10 events', path: '/sse', baseline: 'bare-sse', open: bare },
  sse: { title: 'Tollgate, SSE', path: '/sse', baseline: 'bare-sse', open: tollgate({ store: 'postgres' }) },
  'workers-1': { title: 'Tollgate, 1 worker', isPair: true, open: tollgate({ store: 'postgres', workers: 1 }) },
  'workers-2': {
    title: 'Tollgate, 2 workers',
    isPair: true,
    processes: 2,
    open: tollgate({ store: 'postgres', workers: 2 }),
  },
};
