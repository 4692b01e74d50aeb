// What the gateway asks of identity providers: small JSON documents, within limits, and no redirects. A provider that hangs
// or floods is one that does not answer.

import { Agent, request } from 'undici';

/** How long a provider may take for a document, in all. */
const timeoutMs = 5_000;
const documentBytesMax = 1024 * 1024;

export class ProviderClient {
  readonly #agent = new Agent({ connect: { timeout: timeoutMs }, maxResponseSize: documentBytesMax });

  /** The JSON document at a URL, or null where there is none (404). Rejects when it cannot be had. */
  async get(url: string): Promise<unknown> {
    const { statusCode, body } = await request(url, {
      dispatcher: this.#agent,
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await body.text();
    if (statusCode === 404) return null;
    if (statusCode !== 200) throw new Error(`${url} answered with ${statusCode}`);
    return JSON.parse(text);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}
