// An upstream over TLS is verified: by the public authorities, or by the one that the configuration names.

import { createServer } from 'node:https';
import t from 'tap';
import { call, listen, openGate } from './gate.ts';

/** For `localhost`, signed by itself, good for this test alone. */
const cert = `-----BEGIN CERTIFICATE-----
MIIBlTCCATugAwIBAgIUP3vkjQ/z4bHfRyFFHmTprhidi9MwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA5MzgwMloYDzIxMjYxMDI5
MDkzODAyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARICD8C0s5L5inu0HFkD+WMH0swlRhM/LNGqQJ9sl/GcYdTZDJAOjeD
BtsH0iIZxBXtI/arSvLZiTlxfUqPEkAko2kwZzAdBgNVHQ4EFgQULpuNSx+3HI3V
H20ZDThKg/YZPKEwHwYDVR0jBBgwFoAULpuNSx+3HI3VH20ZDThKg/YZPKEwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SAAwRQIhAMG4U9vzws2C5rVNrVFb/YixGYKPnNSAssQCstNN2UN1AiBAKHHjM2pE
YUmih8eME2uQCT/uOLlA7MqWSxO2wLm4fg==
-----END CERTIFICATE-----`;

const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgoQWT1j1SIpwEDcmg
ljVG8L67f0yS+FVVGewghPxY48uhRANCAARICD8C0s5L5inu0HFkD+WMH0swlRhM
/LNGqQJ9sl/GcYdTZDJAOjeDBtsH0iIZxBXtI/arSvLZiTlxfUqPEkAk
-----END PRIVATE KEY-----`;

t.test('an upstream is called only if its certificate can be trusted', async (t) => {
  const server = createServer({ cert, key }, (request, response) => response.end(request.headers.host));
  const url = `https://localhost:${await listen(t, server)}`;
  const address = url.replace('localhost', '127.0.0.1');
  const cases = [
    { name: 'unknown authority', url, tls: { ca: null, insecureSkipVerify: false }, status: 502 },
    { name: 'named authority', url, tls: { ca: cert, insecureSkipVerify: false }, status: 200 },
    { name: 'wrong name', url: address, tls: { ca: cert, insecureSkipVerify: false }, status: 502 },
    { name: 'not verified, on demand', url: address, tls: { ca: null, insecureSkipVerify: true }, status: 200 },
  ];
  for (const { name, url, tls, status } of cases) {
    const gate = await openGate(t, { upstream: url, upstreamOptions: { tls } });
    const answer = await call(gate, '/');
    t.equal(answer.status, status, name);
    t.equal(await gate.settled(), status === 200 ? 1 : 0, name);
  }
});

t.test("the name that is verified is the upstream's, also where it is sent the host of the client", async (t) => {
  const server = createServer({ cert, key }, (request, response) => response.end(request.headers.host));
  const url = `https://localhost:${await listen(t, server)}`;
  const tls = { ca: cert, insecureSkipVerify: false };
  const gate = await openGate(t, { upstream: url, upstreamOptions: { tls, preserveHost: true } });
  const answer = await call(gate, '/', { headers: { host: 'gate.example' } });
  t.equal(answer.body, 'gate.example');
});
