// A real upstream for tests: answers as its path says, and remembers every request that reached it.

import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

export interface TestUpstream {
  readonly url: string;
  readonly seen: SeenRequest[];
  readonly server: Server;
}

/** `/status/NNN` answers with that status, everything else with 200; the body is the request as JSON. */
export async function startUpstream(t: Test): Promise<TestUpstream> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    seen.push({ method, url, headers });
    request.resume();
    request.on('end', () => {
      const status = /^\/status\/(\d{3})/.exec(url)?.[1] ?? '200';
      response.writeHead(Number(status), { 'content-type': 'application/json' });
      response.end(JSON.stringify({ method, url, headers }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, seen, server };
}
