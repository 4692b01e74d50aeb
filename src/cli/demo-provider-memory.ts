// What an OpenID provider of the demo remembers, in memory: codes, tokens and grants. Who is signed in it forgets, so that
// each sign-in asks anew, and one person can try it as several.

import { LRUCache } from 'lru-cache';
import type { AdapterFactory, AdapterPayload } from 'oidc-provider';

/** Beyond these it forgets what was unused for longest. */
const entriesMax = 10_000;

/** For one provider. Clients are looked up each time, so that they may change. Times to live are the library's to check. */
export function keepInMemory(clients: ReadonlyMap<string, AdapterPayload>): AdapterFactory {
  const entries = new LRUCache<string, AdapterPayload>({ max: entriesMax });
  return (model) => {
    const keyOf = (id: string) => `${model}:${id}`;
    return {
      upsert: async (id, payload) => {
        if (model !== 'Session') entries.set(keyOf(id), payload);
      },
      find: async (id) => (model === 'Client' ? clients.get(id) : entries.get(keyOf(id))),
      consume: async (id) => {
        const payload = entries.get(keyOf(id));
        if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000);
      },
      destroy: async (id) => void entries.delete(keyOf(id)),
      revokeByGrantId: async (grantId) => {
        for (const [key, payload] of entries) if (payload.grantId === grantId) entries.delete(key);
      },
      // Sessions and device codes are looked up by these, and there are none.
      findByUid: async () => undefined,
      findByUserCode: async () => undefined,
    };
  };
}
