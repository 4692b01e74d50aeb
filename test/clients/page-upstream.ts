// An upstream as a web application has it: a public page, and beside it an API that the page's script calls with a key
// from the fragment of its address. The page shows what the script got to see.

import { once } from 'node:events';
import type { RequestListener, ServerResponse } from 'node:http';

export interface PageUpstream {
  readonly answer: RequestListener;
  /** Answers of `/api/words`, begun and left to the test to write. */
  readonly streams: { readonly response: ServerResponse; readonly closed: Promise<unknown> }[];
}

const page = `<!doctype html>
<title>Things</title>
<button id="things">Things</button> <button id="words">Words</button>
<script>
  const headers = { 'X-API-Key': location.hash.slice(1) };
  const show = (role, text) => {
    const line = document.createElement('p');
    line.role = role;
    line.textContent = text;
    document.body.append(line);
  };
  document.getElementById('things').onclick = async () => {
    const answer = await fetch('/api/things', { headers });
    const body = await answer.json();
    const of = (name) => name + ' ' + answer.headers.get('x-credits-' + name);
    show('note', [answer.status, of('cost'), of('remaining'), of('required')].join(', '));
    if (answer.ok) show('status', body.things.join(' and '));
    else show('alert', body.error);
  };
  document.getElementById('words').onclick = async () => {
    const answer = await fetch('/api/words', { headers });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    show('note', 'words begin');
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      show('status', value);
    }
    show('note', 'words end');
  };
</script>
`;

/** `/page`, `/api/things`, and `/api/words`, whose body is for the test to write. */
export function pageUpstream(): PageUpstream {
  const streams: PageUpstream['streams'] = [];
  const answer: RequestListener = ({ url }, response) => {
    if (url === '/page') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page);
    } else if (url === '/api/things') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"things":["hammer","nail"]}');
    } else {
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).flushHeaders();
      streams.push({ response, closed: once(response, 'close') });
    }
  };
  return { answer, streams };
}
