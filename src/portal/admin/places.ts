// Where the operators' pages are. To everybody else they are not there.

import { ledgerFilter } from '../../schema/ledger-filter.ts';
import { Type } from '../../schema/type.ts';
import type { PagePlace } from '../page.ts';

const usersQuery = Type.Object({
  search: Type.Optional(Type.String({ maxLength: 254, pattern: '^\\P{Cc}*$' })),
  sort: Type.Enum(['created', 'email', 'name', 'credits'], { default: 'created' }),
  order: Type.Enum(['asc', 'desc'], { default: 'desc' }),
  cursor: Type.Optional(Type.String({ maxLength: 2_048 })),
});

const useQuery = Type.Object({ range: Type.Enum(['24h', '7d', '30d'], { default: '7d' }) });

/** All of them. */
export const operatorPlaces: readonly PagePlace[] = [
  { path: '/admin/users', querystring: usersQuery, load: async () => (await import('./users.tsx')).users },
  { path: '/admin/users/:id', load: async () => (await import('./user.tsx')).user },
  {
    path: '/admin/users/:id/history',
    querystring: Type.Object(ledgerFilter),
    load: async () => (await import('./user-history.tsx')).userHistory,
  },
  {
    path: '/admin/users/:id/history/:entryId',
    load: async () => (await import('./user-history.tsx')).userReceipt,
  },
  { path: '/admin/use', querystring: useQuery, load: async () => (await import('./use.tsx')).use },
  { path: '/admin/routes', load: async () => (await import('./routes.tsx')).routes },
  { path: '/admin/state', load: async () => (await import('./state.tsx')).state },
];
