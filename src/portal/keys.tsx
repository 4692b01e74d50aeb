// API keys: made, replaced and ended here. A key is shown once, with a call that works.

import type { VNode } from 'preact';
import type { Config } from '../config/config.ts';
import { type ApiKey, listKeys } from '../store/keys.ts';
import { numberText, timeText } from './format.ts';
import type { Page, PageContext } from './page.ts';
import { Scroll } from './scroll.tsx';

/** One's own keys. */
export async function keys({ db, base, visitor, config }: PageContext): Promise<Page> {
  const found = await listKeys(db, visitor.id);
  const body = <Keys keys={found} path={`${base}/api/keys`} call={sampleCall(config)} now={new Date().toISOString()} />;
  return { title: 'API keys', body };
}

/** A line that calls this gateway, with `KEY` for the key. */
export function sampleCall({ server, auth, routes }: Pick<Config, 'server' | 'auth' | 'routes'>): string {
  const route = routes.find(({ auth }) => auth !== 'none' && auth.includes('key')) ?? routes[0];
  const { origin = '', path = '' } = server.publicPlace ?? {};
  const method = route?.methods?.[0] ?? 'GET';
  const verb = method === 'GET' ? '' : `-X ${method} `;
  // A path may hold whatever a URL may, but a quote in it would end the argument.
  const url = `${origin}${path}${route?.path ?? '/'}`.replaceAll("'", '%27');
  const [field = 'authorization'] = auth.apiKeys.headers;
  const credential = field === 'authorization' ? 'Authorization: Bearer KEY' : `${field}: KEY`;
  return `curl -i ${verb}-H '${credential}' '${url}'`;
}

export interface KeysProps {
  readonly keys: readonly ApiKey[];
  /** Of the API, as browsers see it. */
  readonly path: string;
  readonly call: string;
  /** RFC 3339 in UTC. */
  readonly now: string;
}

/** The keys of one user, with what can be done. */
export function Keys({ keys, path, call, now }: KeysProps): VNode {
  const good = keys.filter((key) => isGood(key, now));
  const ended = keys.filter((key) => !isGood(key, now));
  return (
    <>
      <NewKey call={call} />
      <section class="card" aria-labelledby="make-title">
        <h2 id="make-title">Make a key</h2>
        <Make path={path} />
      </section>
      <section class="card" aria-labelledby="keys-title">
        <h2 id="keys-title">Keys</h2>
        <div id="keys" data-live>
          {good.length === 0 ? (
            <p class="empty">There is no key yet. Make one: calls to the API are made with it.</p>
          ) : (
            <List keys={good} path={path} caption="Keys that are good" />
          )}
          {ended.length > 0 && (
            <details id="ended-keys">
              <summary>{`Ended (${ended.length})`}</summary>
              <List keys={ended} path={null} caption="Keys that have ended" />
            </details>
          )}
        </div>
      </section>
    </>
  );
}

function isGood({ revokedAt, expiresAt }: ApiKey, now: string): boolean {
  return revokedAt === null && (expiresAt === null || expiresAt > now);
}

/** Stays hidden until there is one. */
function NewKey({ call }: { call: string }): VNode {
  return (
    <section id="new-key" class="card new" aria-labelledby="new-key-title" tabIndex={-1} hidden>
      <h2 id="new-key-title">Your new key</h2>
      <p>It is shown this once. Keep it where secrets are kept.</p>
      <pre id="new-key-text" data-key="KEY" />
      <p>
        <button type="button" data-copy="new-key-text">
          Copy the key
        </button>
      </p>
      <p>A call that works:</p>
      <pre id="new-key-call" data-key={call} />
      <button type="button" class="quiet" data-copy="new-key-call">
        Copy the call
      </button>
    </section>
  );
}

function Make({ path }: { path: string }): VNode {
  return (
    <form data-method="POST" data-path={path} data-then="key">
      <div class="fields">
        <label>
          Name
          <input name="name" maxLength={64} placeholder="what it is for" required />
        </label>
        <label>
          Limit in credits
          <input
            name="limit"
            data-type="integer"
            type="number"
            min={1}
            max={Number.MAX_SAFE_INTEGER}
            placeholder="none"
          />
        </label>
        <label>
          Good for
          <select name="expires">
            <option value="">ever</option>
            <option value="1d">1 day</option>
            <option value="7d">7 days</option>
            <option value="30d">30 days</option>
            <option value="90d">90 days</option>
            <option value="365d">365 days</option>
          </select>
        </label>
        <button type="submit">Make the key</button>
      </div>
      <p class="fault" role="alert" />
    </form>
  );
}

interface ListProps {
  readonly keys: readonly ApiKey[];
  /** Null where nothing can be done any more. */
  readonly path: string | null;
  readonly caption: string;
}

function List({ keys, path, caption }: ListProps): VNode {
  return (
    <Scroll label={caption}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Begins with</th>
            <th scope="col" class="number">
              Spent
            </th>
            <th scope="col">Last used</th>
            <th scope="col">{path === null ? 'Ended' : 'Good until'}</th>
            {path !== null && (
              <th scope="col">
                <span class="hidden">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <tr key={key.id}>
              <th scope="row" class="break">
                {key.name}
              </th>
              <td>
                <code>{key.hint}…</code>
              </td>
              <td class="number">{spentText(key)}</td>
              <td class="nowrap">{key.lastUsedAt === null ? 'never' : timeText(key.lastUsedAt)}</td>
              <td class="nowrap">{untilText(key)}</td>
              {path !== null && (
                <td>
                  <Actions apiKey={key} path={`${path}/${key.id}`} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function spentText({ spent, limit }: ApiKey): string {
  return limit === null ? numberText(spent) : `${numberText(spent)} of ${numberText(limit)}`;
}

function untilText({ revokedAt, expiresAt, previousExpiresAt }: ApiKey): string {
  if (revokedAt !== null) return `revoked ${timeText(revokedAt)}`;
  const overlap = previousExpiresAt === null ? '' : `; the one before until ${timeText(previousExpiresAt)}`;
  return (expiresAt === null ? 'no end' : timeText(expiresAt)) + overlap;
}

function Actions({ apiKey: { id, name }, path }: { apiKey: ApiKey; path: string }): VNode {
  return (
    <div class="actions">
      <form
        data-method="POST"
        data-path={`${path}/rotate`}
        data-then="key"
        data-confirm={`Replace the key "${name}"? The old one is good for one more hour.`}
      >
        <input type="hidden" name="overlap" value="1h" />
        <button id={`rotate-${id}`} type="submit" class="quiet" aria-label={`Replace ${name}`}>
          Replace
        </button>
      </form>
      <form
        data-method="DELETE"
        data-path={path}
        data-told="The key is revoked."
        data-confirm={`Revoke the key "${name}"? Calls with it are refused at once, for good.`}
      >
        <button id={`revoke-${id}`} type="submit" class="quiet danger" aria-label={`Revoke ${name}`}>
          Revoke
        </button>
      </form>
    </div>
  );
}
