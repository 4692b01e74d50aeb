// A real upstream for tests: remembers every request that reached it, and answers as its path says or as a test wants.

import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
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

/** Starts it on a free port of the loopback; it goes with the test. */
export async function startUpstream(t: Test, answer: RequestListener = answerAsTold): Promise<TestUpstream> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    seen.push({ method, url, headers });
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, seen, server };
}

/** `/status/NNN` answers with that status, everything else with 200; the body is the request as JSON. */
const answerAsTold: RequestListener = (request, response) => {
  const { method, url = '', headers } = request;
  request.resume();
  request.on('end', () => {
    const status = /^\/status\/(\d{3})/.exec(url)?.[1] ?? '200';
    response.writeHead(Number(status), { 'content-type': 'application/json' });
    response.end(JSON.stringify({ method, url, headers }));
  });
};
