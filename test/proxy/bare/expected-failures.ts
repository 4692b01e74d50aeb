// The promises of the proxy suite that a bare @fastify/http-proxy breaks, and what it does instead. They show that the
// cases fail where they should; one that it keeps one day is struck from the list.

import { METHODS } from 'node:http';

const unrouted = 'methods beyond its seven have no route';
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
  'a malformed request does not spoil the answer to the one before it': 'its 400 overtakes the answer, and ends it',
};

/** Whether this Node can be asked: not every parser knows QUERY. */
const isAsked = ([name]: readonly [string, string]) => METHODS.includes('QUERY') || !name.startsWith('QUERY ');

/** Case → what the bare proxy does instead. */
export const expectedFailures: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(listed).filter(isAsked),
);
