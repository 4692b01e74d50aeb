// Ids of what is made all the time, such as requests and charges, and the randomness in them.

import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

/** So many pieces of randomness are drawn at once: a draw costs far more than the bytes. */
const piecesDrawn = 256;

/** Makes a source of `length` random bytes a time. Whoever keeps what it returns keeps the whole draw. */
export function randomSource(length: number): () => Buffer {
  let drawn = Buffer.alloc(0);
  let offset = 0;
  return () => {
    if (offset === drawn.length) {
      drawn = randomFillSync(Buffer.allocUnsafeSlow(length * piecesDrawn));
      offset = 0;
    }
    offset += length;
    return drawn.subarray(offset - length, offset);
  };
}

const uuidBytes = randomSource(16);
let lastMs = Number.NEGATIVE_INFINITY;
let sequence = 0;

/** A new UUIDv7. Those that one process makes are in the order of making, also when the time of day goes back. */
export function newId(): string {
  const random = uuidBytes();
  const nowMs = Date.now();
  if (nowMs > lastMs) {
    lastMs = nowMs;
    // Room above it for all that this millisecond may need (RFC 9562 §6.2).
    sequence = random.readUInt32BE(6) >>> 1;
  } else if (sequence === 0xffff_ffff) {
    lastMs += 1;
    sequence = 0;
  } else {
    sequence += 1;
  }
  return uuidv7({ random, msecs: lastMs, seq: sequence });
}
