// Where one frame of a WebSocket ends and the next begins (RFC 6455 §5.2), for whoever wants to put a frame of its own in
// between. Only lengths are read; what the frames say is nobody's business here.

/** Follows the bytes of one direction. */
export class FrameBoundary {
  /** The header of the frame under way, as far as it is here; it may be spread over chunks. */
  #header: number[] = [];
  /** Bytes of the payload that are still to come. */
  #payloadLeft = 0;
  #onBoundary: (() => void) | null = null;

  /** Calls back once: now, or at the end of the chunk that ends the frame under way. */
  whenBetweenFrames(callback: () => void): void {
    this.#onBoundary = callback;
    this.#tell();
  }

  follow(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const taken = Math.min(this.#payloadLeft, chunk.length - at);
        this.#payloadLeft -= taken;
        at += taken;
      } else {
        this.#header.push(chunk[at] ?? 0);
        at += 1;
        const length = payloadLength(this.#header);
        if (length === null) continue;
        this.#header = [];
        this.#payloadLeft = length;
      }
    }
    this.#tell();
  }

  get #isBetweenFrames(): boolean {
    return this.#payloadLeft === 0 && this.#header.length === 0;
  }

  #tell(): void {
    if (this.#onBoundary === null || !this.#isBetweenFrames) return;
    // After the chunk itself has been passed on, if no other has begun a frame by then.
    setImmediate(() => {
      const tell = this.#onBoundary;
      if (tell === null || !this.#isBetweenFrames) return;
      this.#onBoundary = null;
      tell();
    });
  }
}

/** Null while the header is not whole: two bytes, a longer length of two or eight, a mask of four. */
function payloadLength(header: readonly number[]): number | null {
  const [, second = 0] = header;
  if (header.length < 2) return null;
  const short = second & 0x7f;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const maskBytes = second & 0x80 ? 4 : 0;
  if (header.length < 2 + lengthBytes + maskBytes) return null;
  if (lengthBytes === 0) return short;
  return header.slice(2, 2 + lengthBytes).reduce((length, byte) => length * 256 + byte, 0);
}
