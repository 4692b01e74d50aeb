// Cuts credentials out of texts by their shape. Tokens without one cannot be told from other text.

/** The whole run of characters, because a key may begin in the middle of what looks like one. */
const keyShape = /tg_\w{38,}/g;

/** Words with dots between them. Each begins where no word is under way, so that finding them takes linear time. */
const dottedWords = /(?<![\w-])[\w-]+(?:\.[\w-]*){2,}/g;

/** `eyJ` is how `{"` looks in base64url: the header of a JWT. */
const tokenStart = 'eyJ';

/** A text without the API keys and JWTs in it. */
export function withoutCredentials(text: string): string {
  const keyless = text.includes('tg_') ? text.replace(keyShape, 'tg_[redacted]') : text;
  return keyless.includes(tokenStart) ? keyless.replace(dottedWords, withoutToken) : keyless;
}

/** What stands before the token stays: `%20` has no blank after it. */
function withoutToken(words: string): string {
  const start = words.indexOf(tokenStart);
  if (start === -1 || words.slice(start).split('.').length < 3) return words;
  return `${words.slice(0, start)}[redacted token]`;
}

/** As often as this a path is decoded: some clients encode what is encoded already. */
const decodingsMax = 2;

/** A path as it was sent; where it holds a credential with characters in percent-encoding, decoded and without it. */
export function pathWithoutCredentials(path: string): string {
  let decoded = path;
  for (let decodings = 0; decodings < decodingsMax && decoded.includes('%'); decodings++) {
    decoded = decoded.replaceAll(/%[0-9a-f]{2}/gi, decodedWhereHarmless);
  }
  const cut = withoutCredentials(decoded);
  return cut === decoded ? path : cut;
}

/** What credentials consist of, and the percent sign itself: nothing that could change how a line of the log reads. */
function decodedWhereHarmless(code: string): string {
  const character = String.fromCharCode(Number.parseInt(code.slice(1), 16));
  return /[\w.%-]/.test(character) ? character : code;
}
