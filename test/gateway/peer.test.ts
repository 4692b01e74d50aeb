import t from 'tap';
import { compileTrust, isPassedFromProxy, readPeer } from '../../src/gateway/peer.ts';

const trust = compileTrust(['10.0.0.0/8', '192.0.2.7', '2001:db8:1::/48']);
type Headers = Readonly<Record<string, string>>;
const from = (address: string, headers: Headers = {}) => readPeer(trust, address, headers, 'api.example');
const hops = (address: string, forwardedFor: string) => {
  const peer = from(address, { 'x-forwarded-for': forwardedFor });
  return [peer.clientAddress, peer.forwardedFor];
};

const claims = {
  'x-forwarded-for': '198.51.100.1',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'spoofed.example',
  forwarded: 'for=198.51.100.1',
};

t.test('what a peer that is not trusted claims of itself is dropped', async (t) => {
  const plain = {
    isTrusted: false,
    clientAddress: '203.0.113.9',
    forwardedFor: '203.0.113.9',
    forwardedProto: 'http',
    forwardedHost: 'api.example',
    forwarded: 'for=203.0.113.9;host="api.example";proto=http',
  };
  t.same(from('203.0.113.9', claims), plain);
  t.same(readPeer(compileTrust([]), '203.0.113.9', claims, 'api.example'), plain, 'nor without any trusted proxy');
  t.equal(readPeer(compileTrust([]), '10.0.0.1', claims, 'api.example').isTrusted, false);
});

t.test('what a trusted proxy says is passed on, with the proxy itself added', async (t) => {
  t.same(from('10.1.2.3', { ...claims, 'x-forwarded-host': 'shop.example:8443' }), {
    isTrusted: true,
    clientAddress: '198.51.100.1',
    forwardedFor: '198.51.100.1, 10.1.2.3',
    forwardedProto: 'https',
    forwardedHost: 'shop.example:8443',
    forwarded: 'for=198.51.100.1, for=10.1.2.3;host="api.example";proto=http',
  });
});

t.test('a trusted proxy that says nothing is the client, as far as anybody knows', async (t) => {
  const { isTrusted: _, ...facts } = from('10.1.2.3');
  t.same(facts, {
    clientAddress: '10.1.2.3',
    forwardedFor: '10.1.2.3',
    forwardedProto: 'http',
    forwardedHost: 'api.example',
    forwarded: 'for=10.1.2.3;host="api.example";proto=http',
  });
});

t.test('trust is by address and by range, IPv4, IPv6, and IPv4 on a dual-stack socket', async (t) => {
  const cases: [address: string, isTrusted: boolean][] = [
    ['10.255.255.255', true],
    ['11.0.0.0', false],
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['2001:db8:1:ffff::1', true],
    ['2001:db8:2::1', false],
    ['::ffff:10.1.2.3', true],
    ['::ffff:11.1.2.3', false],
    ['fe80::1%eth0', false],
  ];
  for (const [address, isTrusted] of cases) t.equal(from(address).isTrusted, isTrusted, address);
  t.equal(readPeer(compileTrust(['::ffff:10.0.0.0/104']), '10.1.2.3', {}, null).isTrusted, true, 'a mapped range');
  t.equal(readPeer(compileTrust(['0.0.0.0/0']), '203.0.113.9', {}, null).isTrusted, true, 'everybody');
  t.throws(() => compileTrust(['lb.internal']), /lb\.internal is no range of addresses/);
});

t.test('an IPv4 address on a dual-stack socket is told as the IPv4 address that it is', async (t) => {
  t.match(from('::ffff:203.0.113.9'), {
    clientAddress: '203.0.113.9',
    forwardedFor: '203.0.113.9',
    forwarded: /^for=203\.0\.113\.9;/,
  });
  t.same(hops('::ffff:10.1.2.3', '::FFFF:198.51.100.1'), ['198.51.100.1', '::FFFF:198.51.100.1, 10.1.2.3']);
});

t.test('an IPv6 peer stands in brackets and quotes in Forwarded, bare in X-Forwarded-For', async (t) => {
  t.match(from('2001:db8:1::5', { 'x-forwarded-for': '2001:DB8:9::1' }), {
    clientAddress: '2001:db8:9::1',
    forwardedFor: '2001:DB8:9::1, 2001:db8:1::5',
    forwarded: 'for="[2001:db8:9::1]";host="api.example";proto=http, for="[2001:db8:1::5]"',
  });
});

t.test('in a chain of proxies the client is the nearest address that is not trusted', async (t) => {
  t.same(hops('10.0.0.2', '198.51.100.1, 10.0.0.1'), ['198.51.100.1', '198.51.100.1, 10.0.0.1, 10.0.0.2']);
  t.same(
    hops('10.0.0.2', '1.1.1.1, 198.51.100.1, 192.0.2.7, 10.0.0.1'),
    ['198.51.100.1', '1.1.1.1, 198.51.100.1, 192.0.2.7, 10.0.0.1, 10.0.0.2'],
    'what the client itself had claimed is told on, but not believed',
  );
  t.same(hops('10.0.0.3', '10.0.0.1,10.0.0.2'), ['10.0.0.1', '10.0.0.1, 10.0.0.2, 10.0.0.3'], 'all of them trusted');
});

t.test('lines of X-Forwarded-For are one list, and empty elements say nothing', async (t) => {
  // This is how node:http joins them.
  t.same(hops('10.0.0.1', '1.1.1.1, 2.2.2.2'), ['2.2.2.2', '1.1.1.1, 2.2.2.2, 10.0.0.1']);
  t.same(hops('10.0.0.1', ', 1.1.1.1,, 2.2.2.2 ,'), ['2.2.2.2', '1.1.1.1, 2.2.2.2, 10.0.0.1']);
  t.same(hops('10.0.0.1', ',,'), ['10.0.0.1', '10.0.0.1']);
});

t.test('a hop may have a port, which is no part of its address', async (t) => {
  t.same(hops('10.0.0.1', '198.51.100.1:4711'), ['198.51.100.1', '198.51.100.1:4711, 10.0.0.1']);
  t.same(hops('10.0.0.1', '[2001:db8::1]:4711'), ['2001:db8::1', '[2001:db8::1]:4711, 10.0.0.1']);
  t.same(hops('10.0.0.1', '1.1.1.1, 10.0.0.9:80'), ['1.1.1.1', '1.1.1.1, 10.0.0.9:80, 10.0.0.1']);
});

t.test('a hop that is unknown ends what is vouched for', async (t) => {
  t.same(hops('10.0.0.1', '198.51.100.1, unknown'), ['10.0.0.1', '198.51.100.1, unknown, 10.0.0.1']);
});

t.test('a malformed hop is dropped, with all that stands left of it', async (t) => {
  for (const garbage of ['garbage', '1.2.3', '999.1.1.1', '1.1.1.1:x', '[::1', '"1.1.1.1"', '1.1.1.1 2.2.2.2', '<b>']) {
    t.same(hops('10.0.0.2', `6.6.6.6, ${garbage}, 10.0.0.1`), ['10.0.0.1', '10.0.0.1, 10.0.0.2'], garbage);
    t.same(hops('10.0.0.2', garbage), ['10.0.0.2', '10.0.0.2'], garbage);
  }
});

t.test('of an endless list only the nearest hops are read', async (t) => {
  const { clientAddress, forwardedFor } = from('10.0.0.1', { 'x-forwarded-for': '10.0.0.2, '.repeat(1000) });
  t.equal(clientAddress, '10.0.0.2');
  t.equal(forwardedFor.split(', ').length, 65);
});

t.test('where proxies send X-Forwarded-* alone, Forwarded says the same', async (t) => {
  const fields = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' };
  const forwarded = (forwardedFor: string) =>
    from('10.0.0.2', { ...fields, 'x-forwarded-for': forwardedFor }).forwarded;
  const facts = 'host="shop.example";proto=https';
  t.equal(forwarded('198.51.100.1:4711'), `for=198.51.100.1;${facts}, for=10.0.0.2`);
  t.equal(
    forwarded('6.6.6.6, 198.51.100.1, 10.0.0.1'),
    `for=6.6.6.6, for=198.51.100.1;${facts}, for=10.0.0.1, for=10.0.0.2`,
  );
  t.equal(forwarded('198.51.100.1, unknown'), `for=198.51.100.1, for=unknown, for=10.0.0.2;${facts}`);
  t.equal(forwarded(''), `for=10.0.0.2;${facts}`);
});

t.test('of a scheme or host that proxies append to, the word of the outermost trusted one counts', async (t) => {
  const told = (hops: string, list: string) => {
    const fields = { 'x-forwarded-for': hops, 'x-forwarded-proto': list, 'x-forwarded-host': list };
    const { forwardedProto, forwardedHost } = from('10.0.0.2', fields);
    return [forwardedProto, forwardedHost];
  };
  t.same(told('198.51.100.1, 10.0.0.1', 'https, http'), ['https', 'https'], 'two trusted proxies, two items');
  t.same(told('198.51.100.1', 'https, http'), ['http', 'http'], 'what the client claimed stays a claim');
  t.same(told('198.51.100.1, 10.0.0.1', 'https'), ['https', 'https'], 'one that was set and not appended to');
});

t.test('a malformed scheme, host or Forwarded of a trusted proxy is dropped', async (t) => {
  const { forwardedProto, forwardedHost, forwarded } = from('10.0.0.1');
  const plain = { forwardedProto, forwardedHost, forwarded };
  for (const proto of ['', 'ftp', 'https, ftp', 'https;x', 'javascript:']) {
    t.match(from('10.0.0.1', { 'x-forwarded-proto': proto }), plain, proto);
  }
  for (const host of [
    '',
    'a b',
    'a/b',
    'a, <b>',
    'user@a',
    'a:port',
    'a:999999',
    '[::1',
    '<b>',
    'a"',
    `${'a'.repeat(256)}`,
  ]) {
    t.match(from('10.0.0.1', { 'x-forwarded-host': host }), plain, host);
  }
  for (const elements of [
    '',
    'for',
    'for=',
    'for=1.1.1.1:80',
    'for=a,',
    'for="a',
    'for=a b=c',
    '=a',
    'for="\\"',
    'a=b;',
  ]) {
    t.match(from('10.0.0.1', { forwarded: elements }), plain, elements);
  }
});

t.test('every well-formed scheme, host and Forwarded of a trusted proxy is passed', async (t) => {
  for (const proto of ['http', 'https', 'wss']) {
    t.equal(from('10.0.0.1', { 'x-forwarded-proto': proto }).forwardedProto, proto);
  }
  t.equal(from('10.0.0.1', { 'x-forwarded-proto': 'HTTPS' }).forwardedProto, 'https');
  for (const host of ['a', 'Shop.example', 'a_b.internal:80', '[2001:db8::1]', '[::1]:8080', '192.0.2.1:1']) {
    t.equal(from('10.0.0.1', { 'x-forwarded-host': host }).forwardedHost, host);
  }
  const own = from('10.0.0.1').forwarded;
  for (const elements of ['for=1.1.1.1', 'For="[2001:db8::1]:4711";proto=https , for=_x', 'for=unknown;by="a\\"b"']) {
    t.equal(from('10.0.0.1', { forwarded: elements }).forwarded, `${elements}, ${own}`);
  }
});

t.test('a Forwarded made to be slow to read is not', async (t) => {
  const startedAt = performance.now();
  for (const elements of [`a=b${' '.repeat(16_000)}`, `a="${'\\a'.repeat(8000)}`, 'a=b;'.repeat(4000)]) {
    t.equal(from('10.0.0.1', { forwarded: elements }).forwarded, from('10.0.0.1').forwarded);
  }
  t.ok(performance.now() - startedAt < 1000);
});

t.test('a connection that is gone has no address, and a call need not name a host', async (t) => {
  t.same(readPeer(trust, undefined, claims, null), {
    isTrusted: false,
    clientAddress: 'unknown',
    forwardedFor: 'unknown',
    forwardedProto: 'http',
    forwardedHost: null,
    forwarded: 'for=unknown;proto=http',
  });
});

t.test('what else a trusted proxy says of the way passes, in its own spelling alone', async (t) => {
  for (const key of ['x-forwarded-port', 'x-forwarded-prefix', 'x-forwarded-client-cert']) t.ok(isPassedFromProxy(key));
  for (const key of ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x_forwarded_port', 'forwarded']) {
    t.notOk(isPassedFromProxy(key), key);
  }
});
