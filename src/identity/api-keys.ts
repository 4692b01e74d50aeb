// What an API key looks like: `tg_`, 32 random base62 characters, 6 characters of checksum. The checksum lets a
// mistyped or invented key be refused without a look into the database, and secret scanners tell a real key from a
// look-alike. The key itself is shown once and never stored: only its SHA-256 is, which suffices for 190 random bits.

import { hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

const prefix = 'tg_';
const randomLength = 32;
const checksumLength = 6;
const hintLength = 9;
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const shape = /^tg_[0-9A-Za-z]{38}$/;

/** A new key: `key` for its owner's eyes alone, once; `hash` and `hint` to keep. */
export interface GeneratedKey {
  readonly key: string;
  /** SHA-256 of the key, hex. */
  readonly hash: string;
  /** The first nine characters, so that people recognise the key. */
  readonly hint: string;
}

/** Makes a key. */
export function generateKey(): GeneratedKey {
  const body = prefix + randomBase62(randomLength);
  const key = body + checksumOf(body);
  return { key, hash: hashKey(key), hint: key.slice(0, hintLength) };
}

/** The SHA-256 of a key, hex: what `api_keys.hash` holds. */
export function hashKey(key: string): string {
  return hash('sha256', key, 'hex');
}

/** Whether the text could be a key: its shape and checksum are right. Says nothing about whether it was ever issued. */
export function isWellFormedKey(text: string): boolean {
  return shape.test(text) && text.slice(-checksumLength) === checksumOf(text.slice(0, -checksumLength));
}

/** CRC-32 in base62: 62^6 is above 2^32, so six characters always hold it. */
function checksumOf(body: string): string {
  let rest = crc32(body);
  let text = '';
  for (let i = 0; i < checksumLength; i++) {
    text = alphabet.charAt(rest % alphabet.length) + text;
    rest = Math.floor(rest / alphabet.length);
  }
  return text;
}

/** Bytes from 248 on are thrown away: with them the first eight characters of the alphabet would come more often. */
function randomBase62(length: number): string {
  const fair = 256 - (256 % alphabet.length);
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      if (byte < fair && text.length < length) text += alphabet.charAt(byte % alphabet.length);
    }
  }
  return text;
}
