// The header fields that belong to one connection (RFC 9110 §7.6.1 and §11.7) and are forwarded neither way: no rule of
// the configuration may name them, and the gateway drops them.

export const hopByHopFields: readonly string[] = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];
