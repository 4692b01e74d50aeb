// What providers say about people, read with care: pure. Addresses and names travel into the database, into terminals and
// into decisions about who may do what.

import type { Person } from '../store/sign-ups.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** OpenID Connect Core §2 allows no longer subject. */
const subjectLengthMax = 255;
const nameLengthMax = 200;
const pictureLengthMax = 2_048;

/** What a database may refuse to keep, or keep as something else: control characters, halves of surrogate pairs. */
const unkept = /[\p{Cc}\p{Cs}]/u;

/** Whether a claim can be a subject. */
export function isSubject(claim: unknown): claim is string {
  return typeof claim === 'string' && claim !== '' && claim.length <= subjectLengthMax && !unkept.test(claim);
}

/** An address, or null. In ASCII: other letters have look-alikes, and to some databases they are the same in lower case. */
export function addressIn(claim: unknown): string | null {
  if (typeof claim !== 'string' || claim.length > 254) return null;
  return /^[!-?A-~]+@[!-?A-~]+$/.test(claim) ? claim : null;
}

/** A name without what terminals would take for commands; null when nothing is left. */
export function nameIn(claim: unknown): string | null {
  if (typeof claim !== 'string') return null;
  const printable = claim.replaceAll(/[\p{Cc}\p{Cs}]+/gu, ' ').trim();
  return printable === '' ? null : [...printable].slice(0, nameLengthMax).join('');
}

/** The URL of a picture that a page may show, or null. */
export function pictureIn(claim: unknown): string | null {
  if (typeof claim !== 'string' || claim.length > pictureLengthMax || !URL.canParse(claim)) return null;
  const { protocol, username, password, href } = new URL(claim);
  return protocol === 'https:' && username === '' && password === '' ? href : null;
}

/** Somebody by standard claims; the address counts if `email_verified` says so. */
export function personOf(issuer: string, subject: string, claims: Claims): Person {
  const email = claims['email_verified'] === true ? addressIn(claims['email']) : null;
  return { issuer, subject, email, name: nameIn(claims['name']), picture: pictureIn(claims['picture']) };
}
