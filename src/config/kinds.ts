// The kinds of value that several keys of gateway.yaml take: each with its pattern and the words for an error.

import { Type } from '../schema/type.ts';

export const boolean = (description: string, byDefault: boolean) =>
  Type.Boolean({ description, default: byDefault, expects: 'true or false' });

/** From 1 ms on: 0 would turn a limit off, which only a key that says so can do. */
export const duration = (description: string, byDefault: string) =>
  Type.String({
    description,
    default: byDefault,
    kind: 'duration',
    pattern: '^[1-9]\\d{0,8}(ms|s|m|h|d)$',
    expects: 'a number from 1 with its unit (ms, s, m, h or d)',
    examples: ['250ms', '30s', '5m'],
  });

/** A duration that may be 0; `zero` says what 0 stands for. */
export const durationOrZero = (zero: string) => ({
  kind: 'duration',
  pattern: '^(0|\\d{1,9}(ms|s|m|h|d))$',
  expects: `a number with its unit (ms, s, m, h or d), or 0 for ${zero}`,
});

/** From 1 byte on: a limit of 0 could mean no limit as well as no body. */
export const bodySize = (description: string) => ({
  description,
  kind: 'size',
  pattern: '^[1-9]\\d{0,8}([KkMmGg]?[Bb])$',
  expects: 'a number from 1 with its unit (b, kb, mb or gb)',
  examples: ['10mb', '64kb'],
});

export const port = (description: string, byDefault: number) =>
  Type.Integer({
    description,
    default: byDefault,
    minimum: 0,
    maximum: 65_535,
    expects: 'a port from 0 to 65535 (0 takes a free one)',
    examples: [byDefault],
  });

export const host = (description: string) =>
  Type.String({
    description,
    default: '0.0.0.0',
    pattern: '^[A-Za-z0-9._:%-]{1,255}$',
    expects: 'a host name or an IP address without brackets',
    examples: ['127.0.0.1', '::'],
  });

export const text = (description: string, example: string) => ({
  description,
  pattern: '^[^\\x00-\\x1f\\x7f]+$',
  expects: 'some text on one line',
  examples: [example],
});

export const headerName = {
  pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$",
  expects: 'the name of a header field',
  examples: ['X-Api-Version'],
};

export const path = {
  pattern: '^/[!-~]{0,255}$',
  expects: 'a path that begins with / and has at most 256 characters, others than plain ASCII percent-encoded',
};

export const upstreamUrl = (description: string) =>
  Type.String({
    description,
    kind: 'URL',
    pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^\\s\\\\@?#/]+(/[^\\s\\\\?#]*)?$',
    expects: 'http://HOST:PORT or https://HOST/PATH, without user, query or fragment',
    examples: ['http://127.0.0.1:4000'],
    secret: true,
  });

/** Where an identity provider is. */
export const providerUrl = {
  kind: 'URL',
  pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^\\s\\\\@?#/]+(/[^\\s\\\\?#]*)?$',
  maxLength: 512,
  expects: 'an https URL without user, query or fragment',
};

export const textOrList = (what: string, description: string, example: string) =>
  Type.Optional(
    Type.Union(
      [
        Type.String({ ...text(description, example), maxLength: 512 }),
        Type.Array(Type.String({ ...text(`${what}.`, example), maxLength: 512 }), { minItems: 1, maxItems: 32 }),
      ],
      { description, expects: 'a text, or a list of up to 32' },
    ),
  );
