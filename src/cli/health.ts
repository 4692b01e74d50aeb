// The command that asks the gateway on this machine whether it is ready: for exec probes and HEALTHCHECK.

import { request } from 'node:http';
import type { Command } from './command.ts';
import { exitCodes, Failure } from './failure.ts';

const answerWithinMs = 2_000;

export const healthCommand: Command = {
  name: 'health',
  summary: 'ask the gateway on this machine whether it is ready',
  details: 'Asks /readyz of the operations listener in the configuration. Exit code 0 when ready, else 1.',
  examples: ['health', 'health --json'],
  run: async ({ configFile, env, output }) => {
    const { loadConfig } = await import('../config/config.ts');
    const { ops } = loadConfig({ file: configFile, env });
    if (ops.port === 0)
      throw new Failure('PORT_UNKNOWN', 'ops.port is 0, a free one. Give it a number to be asked at.');
    const url = `http://${hostOf(ops.host)}:${ops.port}/readyz`;
    const { status, reason } = await ask(url);
    const isReady = status === 200;
    output.result({ ready: isReady, status, reason, url }, isReady ? 'ready' : `not ready: ${reason}`);
    return isReady ? exitCodes.done : exitCodes.failed;
  },
};

/** A listener on every address is asked on loopback. */
function hostOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

function ask(url: string): Promise<{ status: number | null; reason: string | null }> {
  return new Promise((resolve) => {
    const call = request(url, { signal: AbortSignal.timeout(answerWithinMs), agent: false }, (answer) => {
      answer.resume();
      const status = answer.statusCode ?? null;
      resolve({ status, reason: status === 200 ? null : `${url} answered ${status}` });
    });
    call.on('error', (error) => {
      const why = error.name === 'AbortError' || error.name === 'TimeoutError' ? 'no answer in time' : error.message;
      resolve({ status: null, reason: `${url}: ${why}` });
    });
    call.end();
  });
}
