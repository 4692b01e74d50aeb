// An upstream whose page belongs to people who have signed in: its script calls the API beside it, by `fetch` and by
// WebSocket, with no credential but what the browser sends along. The page shows what came of it.

import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, RequestListener, Server } from 'node:http';

const page = `<!doctype html>
<title>Mine</title>
<button id="things">Things</button> <button id="talk">Talk</button> <button id="leave">Sign out</button>
<script>
  const show = (role, text) => {
    const line = document.createElement('p');
    line.role = role;
    line.textContent = text;
    document.body.append(line);
  };
  const click = (id, then) => {
    document.getElementById(id).onclick = then;
  };
  click('things', async () => {
    const answer = await fetch('/api/things');
    show('status', [answer.status, 'remaining ' + answer.headers.get('x-credits-remaining')].join(', '));
  });
  click('talk', () => {
    const socket = new WebSocket('ws://' + location.host + '/api/talk');
    socket.onmessage = ({ data }) => show('status', 'heard ' + data);
    socket.onerror = () => show('alert', 'no socket');
  });
  click('leave', async () => {
    const answer = await fetch('/_tollgate/auth/logout', { method: 'POST' });
    show('status', 'left, ' + answer.status);
  });
</script>
`;

/** `/page`, and everything else with 200. */
export const answerWithPage: RequestListener = ({ url }, response) => {
  const [type, body] = url === '/page' ? ['text/html; charset=utf-8', page] : ['text/plain', 'here you are'];
  response.writeHead(200, { 'content-type': type }).end(body);
};

/** A text frame: `hello`. */
const hello = '\x81\x05hello';

/** Accepts every WebSocket, says hello on it, and remembers what it was asked with. */
export function acceptSockets(server: Server): readonly IncomingHttpHeaders[] {
  const seen: IncomingHttpHeaders[] = [];
  server.on('upgrade', ({ headers }, socket) => {
    seen.push(headers);
    const key = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    const lines = ['Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Accept: ${accept}`, '', hello];
    socket.on('error', () => {});
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}`, 'latin1');
    socket.on('data', () => socket.end());
  });
  return seen;
}
