import type { RequestListener } from 'node:http';
import t from 'tap';
import { CookieJar } from './cookie-jar.ts';
import { startUpstream } from './upstreams.ts';

/** Answers with what the query says: `set` cookies, a redirect `to` with a `status`. */
const answer: RequestListener = (request, response) => {
  const query = new URL(request.url ?? '/', 'http://site').searchParams;
  response.appendHeader('set-cookie', query.getAll('set'));
  const to = query.get('to');
  if (to !== null) response.setHeader('location', to);
  request
    .resume()
    .on('end', () => response.writeHead(Number(query.get('status') ?? (to === null ? 200 : 302))).end('x'));
};

t.test('cookies go back to the host and port they came from, in their path, until they expire', async (t) => {
  const [site, other] = [await startUpstream(t, answer), await startUpstream(t, answer)];
  const jar = new CookieJar();
  await jar.visit(`${site.url}/a/b?set=here=1&set=all=2;Path=/&set=deep=3;Path=/a/b/c;Max-Age=60`);
  t.same(jar.cookiesFor(`${site.url}/a`), { here: '1', all: '2' });
  t.same(jar.cookiesFor(`${site.url}/ab`), { all: '2' });
  t.equal(jar.headerFor(`${site.url}/a/b/c/d`), 'deep=3; here=1; all=2', 'the closest path first');
  t.same(jar.cookiesFor(`${other.url}/a/b`), {});
  await jar.fetch(`${site.url}/a/x?set=here=;Max-Age=0&set=all=;Path=/;Expires=Thu, 01 Jan 1970 00:00:00 GMT`);
  t.equal(site.seen.at(-1)?.headers.cookie, 'here=1; all=2');
  t.same(jar.cookiesFor(`${site.url}/a/b/c`), { deep: '3' });
});

t.test('what a browser ignores is not kept, and what is Secure is sent over TLS alone', async (t) => {
  const url = 'http://127.0.0.1:1/';
  for (const [pretendTls, sent] of [
    [false, {}],
    [true, { '__Host-a': '1', b: '2' }],
  ] as const) {
    const jar = new CookieJar({ pretendTls });
    const lines = ['__Host-a=1; Path=/; Secure', 'b=2; Secure; SameSite=None', 'c=3; SameSite=None', '=4', 'd'];
    for (const line of lines) jar.set(url, line);
    for (const name of ['__Host-e=1; Secure', '__Host-f=1; Path=/', '__Secure-g=1']) jar.set(url, name);
    jar.set(url, 'h=1; Domain=b.example');
    t.same(jar.cookiesFor(url), sent);
  }
});

t.test('a visit follows redirects, tells each hop, and says where it comes from', async (t) => {
  const [site, other] = [await startUpstream(t, answer), await startUpstream(t, answer)];
  const jar = new CookieJar();
  for (const sameSite of ['Strict', 'Lax']) jar.set(site.url, `${sameSite}=1; Path=/; SameSite=${sameSite}`);
  const back = `${other.url}/there?to=${encodeURIComponent(`${site.url}/back?set=late=1`)}`;
  const { response, url, hops } = await jar.visit(
    `${site.url}/go?to=${encodeURIComponent(`/on?to=${encodeURIComponent(back)}`)}`,
  );
  t.match([response.status, await response.text(), url], [200, 'x', `${site.url}/back?set=late=1`]);
  t.same(
    hops.map(({ status }) => status),
    [302, 302, 302, 200],
  );
  t.match(hops[1], { location: back, setCookies: [] });
  t.match(hops[3], { location: null, setCookies: ['late=1'] });
  const told = [...site.seen.slice(0, 2), ...other.seen, ...site.seen.slice(2)].map(({ headers }) => [
    headers['sec-fetch-site'],
    headers.cookie,
  ]);
  t.same(told, [
    ['none', 'Strict=1; Lax=1'],
    ['same-origin', 'Strict=1; Lax=1'],
    ['cross-site', undefined],
    ['cross-site', 'Lax=1'],
  ]);
  t.match(site.seen[0]?.headers, { accept: /^text\/html,/, 'sec-fetch-mode': 'navigate' });
  await jar.visit(`${site.url}/`, { from: other.url });
  t.match(site.seen.at(-1)?.headers, { 'sec-fetch-site': 'cross-site', cookie: 'Lax=1; late=1' });
  await t.rejects(jar.visit(`${site.url}/?to=/%3Fto=/`, { maxRedirects: 1 }), {
    message: /^more than 1 redirects: http/,
  });
});

t.test(
  'a form is sent by POST, again after 307 and 308, and from a stranger without the cookies that are Lax',
  async (t) => {
    const site = await startUpstream(t, answer);
    const jar = new CookieJar();
    jar.set(site.url, 'lax=1; SameSite=Lax');
    const form = { a: '1' };
    await jar.visit(`${site.url}/?to=/x`, { form });
    await jar.visit(`${site.url}/?to=/y&status=307`, { form });
    await jar.visit(`${site.url}/z`, { form, from: 'http://127.0.0.1:1/page' });
    t.same(
      site.seen.map(({ method, url, headers }) => [method, url, headers.origin, headers.cookie]),
      [
        ['POST', '/?to=/x', site.url, 'lax=1'],
        ['GET', '/x', undefined, 'lax=1'],
        ['POST', '/?to=/y&status=307', site.url, 'lax=1'],
        ['POST', '/y', site.url, 'lax=1'],
        ['POST', '/z', 'http://127.0.0.1:1', undefined],
      ],
    );
  },
);
