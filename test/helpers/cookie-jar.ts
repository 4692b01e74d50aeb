// A browser as far as servers can tell: it keeps cookies, follows redirects, and says with each request where it comes
// from. It does not read pages: a test says which link is followed and which form is sent.
//
// Two things differ from a real one. Cookies belong to a host with its port, where browsers ignore ports: servers of a test
// share an address, and are to be as strangers. And other origins are other sites, for the same reason.

import { once } from 'node:events';
import { type IncomingMessage, request as sendRequest } from 'node:http';
import { noteCredentialIn } from './evidence.ts';
import { type Cookie, isExpired, isPathWithin, readSetCookie } from './set-cookie.ts';

export interface Hop {
  readonly url: string;
  readonly status: number;
  /** Where it leads, in full, or null. */
  readonly location: string | null;
  readonly setCookies: readonly string[];
}

export interface Visited {
  /** The last answer. */
  readonly response: Response;
  /** Where it came from. */
  readonly url: string;
  /** Every request with its answer, the last one too. */
  readonly hops: readonly Hop[];
}

export interface Visit {
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sends a form, by POST. */
  readonly form?: Readonly<Record<string, string>>;
  /** The page with the link or the form. Without one, an address was typed, or a form of the address's own origin sent. */
  readonly from?: string;
  /** Throws beyond these. */
  readonly maxRedirects?: number;
}

type Site = 'none' | 'same-origin' | 'cross-site';

interface Outgoing {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

const timeoutMs = 15_000;
/** Undici's fetch says `cors` whatever it is told, so that navigations go through Node's own client. */
const navigation = {
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'accept-language': 'en',
  'user-agent': 'Mozilla/5.0 (a cookie jar)',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-user': '?1',
};

export class CookieJar {
  readonly #isTls: boolean;
  readonly #cookies = new Map<string, Map<string, Cookie>>();

  /** `pretendTls`: as through a proxy that ends TLS. Cookies that are `Secure` are sent, and `https:` is spoken in the clear. */
  constructor({ pretendTls = false }: { readonly pretendTls?: boolean } = {}) {
    this.#isTls = pretendTls;
  }

  /**
   * Goes to an address, and on to where it leads. Once a redirect has left the origin, all that follows is `cross-site`, for
   * which `SameSite=Strict` cookies stay behind. An address that was typed is `none`; browsers say so of its redirects
   * too, but here they count as from a link on the origin's own page, which is how people come to them.
   */
  async visit(url: string, { headers = {}, form, from, maxRedirects = 10 }: Visit = {}): Promise<Visited> {
    const hops: Hop[] = [];
    const { origin } = new URL(from ?? url);
    const origins = new Set([origin]);
    const isTyped = from === undefined && form === undefined;
    let body = form && new URLSearchParams(form).toString();
    for (let next = new URL(url); ; ) {
      origins.add(next.origin);
      const site = origins.size > 1 ? 'cross-site' : isTyped && hops.length === 0 ? 'none' : 'same-origin';
      const response = await this.#navigate(
        next,
        site,
        { ...(body !== undefined && formFields(origin)), ...headers },
        body,
      );
      const hop = hopOf(next, response);
      hops.push(hop);
      if (hop.location === null) return { response, url: next.href, hops };
      if (hops.length > maxRedirects) {
        throw new Error(`more than ${maxRedirects} redirects: ${hops.map((each) => each.url).join(' → ')}`);
      }
      // Only these two repeat the form; every other redirect asks for a page.
      if (hop.status !== 307 && hop.status !== 308) body = undefined;
      next = new URL(hop.location);
    }
  }

  /** One request as a script of the origin's own page makes it, with the cookies, following nothing. */
  async fetch(url: string, init: RequestInit = {}): Promise<Response> {
    const target = new URL(url);
    const headers = new Headers({ 'sec-fetch-site': 'same-origin' });
    if (!/^(?:GET|HEAD)$/i.test(init.method ?? 'GET')) headers.set('origin', target.origin);
    const cookie = this.headerFor(url);
    if (cookie !== '') headers.set('cookie', cookie);
    for (const [name, value] of new Headers(init.headers)) headers.set(name, value);
    const response = await fetch(this.#wire(target), { redirect: 'manual', ...init, headers });
    this.#keep(target, response);
    return response;
  }

  /** The cookies that go to an address of its own accord, as the field `Cookie`. */
  headerFor(url: string): string {
    return this.#header(new URL(url), 'same-origin', 'GET');
  }

  /** Name → value of those cookies. */
  cookiesFor(url: string): Record<string, string> {
    return Object.fromEntries(this.#sent(new URL(url), 'same-origin', 'GET').map(({ name, value }) => [name, value]));
  }

  /** Takes a `Set-Cookie` as if the address had answered with it. */
  set(url: string, setCookie: string): void {
    const target = new URL(url);
    const cookie = readSetCookie(setCookie, target);
    if (cookie === null) return;
    // What scripts may not read, logs may not hold.
    if (cookie.isHttpOnly) noteCredentialIn(cookie.value);
    const own = this.#cookies.get(target.host) ?? new Map<string, Cookie>();
    this.#cookies.set(target.host, own);
    const id = `${cookie.name};${cookie.path}`;
    if (isExpired(cookie)) own.delete(id);
    else own.set(id, cookie);
  }

  async #navigate(url: URL, site: Site, headers: Readonly<Record<string, string>>, body?: string): Promise<Response> {
    const method = body === undefined ? 'GET' : 'POST';
    const cookie = this.#header(url, site, method);
    const fields = { ...navigation, 'sec-fetch-site': site, ...(cookie !== '' && { cookie }), ...headers };
    const response = await send(this.#wire(url), { method, headers: fields, ...(body !== undefined && { body }) });
    this.#keep(url, response);
    return response;
  }

  #keep(url: URL, response: Response): void {
    for (const line of response.headers.getSetCookie()) this.set(url.href, line);
  }

  #header(url: URL, site: Site, method: string): string {
    return this.#sent(url, site, method)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }

  #sent(url: URL, site: Site, method: string): Cookie[] {
    const isSent = (cookie: Cookie) =>
      !isExpired(cookie) &&
      isPathWithin(url.pathname, cookie.path) &&
      (!cookie.isSecure || this.#isTls || url.protocol === 'https:') &&
      (site !== 'cross-site' || cookie.sameSite === 'none' || (cookie.sameSite === 'lax' && method === 'GET'));
    const own = [...(this.#cookies.get(url.host)?.values() ?? [])];
    return own.filter(isSent).sort((one, other) => other.path.length - one.path.length);
  }

  #wire(url: URL): URL {
    return this.#isTls ? new URL(url.href.replace(/^https:/, 'http:')) : url;
  }
}

function formFields(origin: string): Record<string, string> {
  return { 'content-type': 'application/x-www-form-urlencoded', origin };
}

function hopOf(url: URL, { status, headers }: Response): Hop {
  const location = [301, 302, 303, 307, 308].includes(status) ? headers.get('location') : null;
  return {
    url: url.href,
    status,
    location: location === null ? null : new URL(location, url).href,
    setCookies: headers.getSetCookie(),
  };
}

/** One exchange, with the answer read to its end. */
async function send(url: URL, { method, headers, body }: Outgoing): Promise<Response> {
  const request = sendRequest(url, { method, headers, agent: false, signal: AbortSignal.timeout(timeoutMs) });
  request.end(body);
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  const fields = new Headers();
  for (let i = 0; i + 1 < answer.rawHeaders.length; i += 2) {
    fields.append(answer.rawHeaders[i] ?? '', answer.rawHeaders[i + 1] ?? '');
  }
  const { statusCode: status = 0 } = answer;
  return new Response([204, 205, 304].includes(status) ? null : Buffer.concat(chunks), { status, headers: fields });
}
