// Answers as the bytes they came in: read without a library, so that a test sees what a library would smooth over: the
// reason phrase, the case and the order of names, the bytes of values, framing. One character is one byte (Latin-1).

/** An answer that has arrived whole. */
export interface RawAnswer {
  /** `HTTP/1.1 200 OK` */
  readonly statusLine: string;
  readonly status: number;
  /** The lines of the header as they came, `Name: value`. */
  readonly lines: readonly string[];
  /** Without its framing. */
  readonly body: string;
  /** The bytes taken, framing included. */
  readonly length: number;
}

export interface ReadOptions {
  /** An answer to HEAD has no body, whatever its header says. */
  readonly method: string;
  /** Whether nothing more will come: that is how an answer without framing ends. */
  readonly isOver: boolean;
}

/** Reads the answer that the text begins with; null as long as it is not whole. Throws when it is none. */
export function readAnswer(text: string, { method, isOver }: ReadOptions): RawAnswer | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const [statusLine = '', ...lines] = text.slice(0, headEnd).split('\r\n');
  const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1]);
  if (Number.isNaN(status)) throw new Error(`no answer begins with ${JSON.stringify(statusLine)}`);
  const rest = text.slice(headEnd + 4);
  const hasNoBody = method === 'HEAD' || status < 200 || status === 204 || status === 304;
  const framed = hasNoBody ? { body: '', length: 0 } : readBody(lines, rest, isOver);
  return framed && { statusLine, status, lines, body: framed.body, length: headEnd + 4 + framed.length };
}

/** The values of the field, in order. Names are compared without case. */
export function valuesOf(lines: readonly string[], name: string): string[] {
  const prefix = `${name.toLowerCase()}:`;
  return lines
    .filter((line) => line.toLowerCase().startsWith(prefix))
    .map((line) => line.slice(prefix.length).replace(/^[ \t]+|[ \t]+$/g, ''));
}

interface Framed {
  readonly body: string;
  readonly length: number;
}

function readBody(lines: readonly string[], rest: string, isOver: boolean): Framed | null {
  if (valuesOf(lines, 'transfer-encoding').length > 0) return readChunks(rest);
  const [length] = valuesOf(lines, 'content-length');
  if (length === undefined) return isOver ? { body: rest, length: rest.length } : null;
  const size = Number(length);
  return rest.length < size ? null : { body: rest.slice(0, size), length: size };
}

function readChunks(rest: string): Framed | null {
  let body = '';
  let at = 0;
  for (;;) {
    const sizeEnd = rest.indexOf('\r\n', at);
    if (sizeEnd === -1) return null;
    const size = Number.parseInt(rest.slice(at, sizeEnd), 16);
    if (Number.isNaN(size)) throw new Error(`no chunk begins with ${JSON.stringify(rest.slice(at, sizeEnd))}`);
    at = sizeEnd + 2;
    if (size === 0) {
      // What stands before the empty line are trailers.
      const end = rest.startsWith('\r\n', at) ? at : rest.indexOf('\r\n\r\n', at) + 2;
      return end === 1 || rest.length < end + 2 ? null : { body, length: end + 2 };
    }
    if (rest.length < at + size + 2) return null;
    body += rest.slice(at, at + size);
    at += size + 2;
  }
}
