// The promises of the proxy suite that a bare @fastify/http-proxy breaks, and what it does instead. They show that the
// cases fail where they should; one that it keeps one day is struck from the list.

import { METHODS } from 'node:http';

const unrouted = 'methods beyond its seven have no route';
const isA500 = 'it is a 500';
const noLimit = 'nothing of it has a limit by default';
const ownAnswer = 'the upgrade is accepted before the upstream is asked';
const forwarded = "Node's parser lets it through, and so does the proxy";

const listed: Readonly<Record<string, string>> = {
  'path and query arrive byte for byte': 'a path that is not UTF-8 once decoded is a 400, others are encoded anew',
  'header fields arrive with their case, their order, repeated where they were repeated':
    'names are lower-cased, repeated fields joined or dropped',
  'fields of the connection, and those that Connection names, do not reach the upstream': 'most of them do',
  'a caller that asks with Expect: 100-continue is told to go on, and its body arrives':
    'it is told, and then gets a 500',
  'a target in absolute form goes to the upstream like any other': 'it has no route',
  'PROPFIND goes through': unrouted,
  'REPORT goes through': unrouted,
  'SEARCH goes through': unrouted,
  'QUERY goes through': unrouted,
  'GET with a body goes through with its body': 'the body of a GET is dropped',
  'PROPFIND with a body goes through with its body': unrouted,
  'the bytes of an upload are not looked at, whatever type and coding it claims':
    'what says it is text is read as UTF-8',
  'a request with an unknown coding before chunks is refused': forwarded,
  'a request with chunks in HTTP/1.0 is refused': forwarded,
  'a request with two Host fields is refused': forwarded,
  'a request with a Host with a space is refused': forwarded,
  'a request with a Host with a path is refused': forwarded,
  'a request with a Host with a user is refused': forwarded,
  'a request with two Authorization fields is refused': forwarded,
  'a request with a version of HTTP/2 is refused': forwarded,
  'a URL beyond the limit is a 414': "Node's parser tells no URL from a header: it is a 431",
  'a call behind a request after which the connection closes is given up, and not charged': forwarded,
  'a CONNECT behind a call does not overtake its answer': 'the connection is dropped, with the answer',
  'a malformed request does not spoil the answer to the one before it': 'its 400 overtakes the answer, and ends it',
  ...because('the reason phrase is that of the status', [
    'HTTP/1.1 200 Splendid arrives with its reason phrase',
    'HTTP/1.1 299 Odd arrives with its reason phrase',
    'HTTP/1.1 418 Short and stout arrives with its reason phrase',
    'HTTP/1.1 599 Odd arrives with its reason phrase',
  ]),
  'fields of an answer arrive with their case, their order, repeated where they were repeated':
    'names are lower-cased, repeated fields brought together',
  'bytes above 0x7f in the fields of an answer arrive as they are': 'they are taken for UTF-8',
  "fields of the upstream's connection do not reach the caller": 'some of them do',
  'HEAD gets the header that GET would get, and nothing else; the connection goes on': 'the connection does not',
  'HEAD is answered where the upstream announces chunks and trailers': 'the trailers that do not come end the process',
  'HTTP/1.1 304 Not Modified has no body, and the connection goes on': 'a length in it ends the connection',
  'interim answers arrive before the final one, and 100 is put up with':
    'they are dropped, and a 100 ends the connection',
  'trailers reach a caller that takes them, and harm no other': 'they are dropped',
  "the host of the upstream is its own, or the caller's where that is asked for": 'there is no such setting',
  ...because(
    isA500,
    [
      'another protocol',
      'the greeting of TLS',
      'the preface of HTTP/2',
      'nothing',
      'a broken connection',
      'half a header',
      'half a header before the connection breaks',
      'two lengths',
      'a length that is none',
      'a length and chunks',
      'a space before a colon',
      'a NUL in a value',
      'a status of two digits',
      'a status of four digits',
      'an upgrade that nobody asked for',
      'a header of 100 kB',
    ].map((what) => `an upstream that answers with ${what} is a 502`),
  ),
  ...because(isA500, [
    'GET is not sent again when the upstream breaks off after reading it',
    'POST is not sent again when the upstream breaks off after reading it',
    'an upstream that is not there is a 502 that names no address',
  ]),
  'an answer that breaks off where only the end would have ended it is not taken for whole': 'it has no end at all',
  ...because(noLimit, [
    'an upstream that does not answer in time is a 504',
    'an answer that does not go on in time is cut',
    'a caller that does not read is cut in time, and the upstream with it',
    'a caller that does not send the rest of its upload is told so in time',
    'a tunnel in which nothing moves is ended with 1001, a busy one is not',
  ]),
  'the header of an answer arrives before its body': 'it waits for the body',
  ...because(
    'a write that fails hides it',
    [200, 401, 413].map((status) => `an answer of ${status} that comes while the upload runs is never lost`),
  ),
  ...because(ownAnswer, [
    'an upgrade that is answered with 403 Forbidden is refused with that answer',
    'an upgrade that is answered with 200 OK is refused with that answer',
    'an upgrade that is answered with 426 Upgrade Required is refused with that answer',
    'an upgrade to an upstream that is not there is a 502',
    'what follows the request and the 101 at once is not lost',
  ]),
  ...because('what passes are frames that it makes anew', [
    'a WebSocket is opened with the fields of both sides, and costs a call',
    'a megabyte goes both ways byte for byte',
    'another protocol than WebSocket is a tunnel too',
    'an upstream that ends the tunnel ends it for the caller, after what it said',
    'an upgrade with a body is an ordinary call',
  ]),
  ...because('its process dies', [
    'an upgrade that is sent ahead has its turn after the answers before it',
    'an upgrade that is sent ahead does not stop a large answer before it',
  ]),
};

function because(why: string, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, why]));
}

/** Whether this Node can be asked: not every parser knows QUERY. */
const isAsked = ([name]: readonly [string, string]) => METHODS.includes('QUERY') || !name.startsWith('QUERY ');

/** Case → what the bare proxy does instead. */
export const expectedFailures: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(listed).filter(isAsked),
);
