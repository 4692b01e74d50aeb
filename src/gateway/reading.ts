// How a path may be read: pure. The plain test decides whether there is more than one reading at all; decoding finds
// what no reading should hold (dot segments, control characters, endless escapes); the loose readings are what a
// careless upstream may make of a path.

/** Escapes of escapes beyond this are refused: decoding `%252525…` to its end costs the square of its length. */
const decodePassesMax = 8;

const percent = 0x25;
const slash = 0x2f;
const dot = 0x2e;

/** 1 for each ASCII character that has one reading only, wherever it stands: no escape, no upper case, no separator. */
const plainCharacters = new Uint8Array(128);
for (const character of "abcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@") {
  plainCharacters[character.charCodeAt(0)] = 1;
}

/** Whether a path has one reading only: plain characters, no empty segment, none that begins with a dot. */
export function isPlainPath(path: string): boolean {
  if (path.charCodeAt(0) !== slash) return false;
  let isSegmentStart = false;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === slash) {
      if (isSegmentStart) return false;
      isSegmentStart = true;
    } else {
      if (plainCharacters[code] !== 1 || (isSegmentStart && code === dot)) return false;
      isSegmentStart = false;
    }
  }
  return true;
}

/** A path decoded to the end, each byte one character, or why it is refused. */
export type Decoded =
  | { readonly kind: 'decoded'; readonly text: string }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'ambiguous' };

/**
 * Decodes a path until nothing changes. `malformed`: no path at all, a fragment, a broken escape. `ambiguous`: a dot
 * segment, a control character, or escapes of escapes without end.
 */
export function decodePath(path: string): Decoded {
  if (path.charCodeAt(0) !== slash || path.includes('#') || hasBrokenEscape(path)) return { kind: 'malformed' };
  const text = decodeUntilStable(path);
  if (text === null || hasControlCharacter(text)) return { kind: 'ambiguous' };
  if (segmentsOf(text).some((segment) => segment === '.' || segment === '..')) return { kind: 'ambiguous' };
  return { kind: 'decoded', text };
}

/**
 * The loose readings of a decoded path: `\` as `/`, `//` merged, lower-cased, and `;…` cut. Some upstreams cut it from
 * the segment and some from the whole path, so a path with a `;` has two.
 */
export function looseReadings(text: string): string[] {
  const segmentwise = normalise(segmentsOf(text));
  const semicolon = text.indexOf(';');
  return semicolon === -1 ? [segmentwise] : [segmentwise, normalise(segmentsOf(text.slice(0, semicolon)))];
}

/** Segments without parameters; the first is what stands before the first slash. */
function segmentsOf(text: string): string[] {
  return text.split(/[/\\]/).map((segment) => {
    const semicolon = segment.indexOf(';');
    return semicolon === -1 ? segment : segment.slice(0, semicolon);
  });
}

function normalise(segments: readonly string[]): string {
  return `/${segments.join('/')}`.replaceAll(/\/{2,}/g, '/').toLowerCase();
}

/** Null when it is not stable in time. Bytes become characters one by one: what they spell is the upstream's affair. */
function decodeUntilStable(path: string): string | null {
  let text = path;
  for (let pass = 0; pass < decodePassesMax; pass++) {
    const decoded = text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    if (decoded === text) return text;
    text = decoded;
  }
  return null;
}

function hasBrokenEscape(path: string): boolean {
  return path.charCodeAt(path.length - 1) === percent || /%(?![0-9a-f]{2})/i.test(path);
}

function hasControlCharacter(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
