// What the gateway asks of identity providers: small JSON documents, within limits, and no redirects. A provider that hangs
// or floods is one that does not answer.

import { Agent, request } from 'undici';

/** How long a provider may take for a document, in all. */
const timeoutMs = 5_000;
const documentBytesMax = 1024 * 1024;
/** To each provider; what is more waits, within its time. */
const connectionsMax = 32;

/** A provider did not answer as it should. The message holds nothing that it said. */
export class ProviderFault extends Error {
  override name = 'ProviderFault';
}

export class ProviderClient {
  readonly #agent = new Agent({
    connect: { timeout: timeoutMs },
    connections: connectionsMax,
    maxResponseSize: documentBytesMax,
  });

  /** The JSON document at a URL, or null where there is none (404), read with a token if there is one. Rejects when it cannot be had. */
  async get(url: string, token: string | null = null): Promise<unknown> {
    const { statusCode, body } = await request(url, {
      dispatcher: this.#agent,
      headers: {
        accept: 'application/json',
        // GitHub refuses whoever does not say who it is.
        'user-agent': 'tollgate',
        ...(token !== null && { authorization: `Bearer ${token}` }),
      },
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await body.text();
    return statusCode === 404 ? null : documentIn(url, statusCode, text);
  }

  /** The JSON document that a form is answered with; the client says who it is (RFC 6749 §2.3.1). Rejects likewise. */
  async post(url: string, form: Record<string, string>, client: { id: string; secret: string }): Promise<unknown> {
    const secret = Buffer.from(`${formEncoded(client.id)}:${formEncoded(client.secret)}`).toString('base64');
    const { statusCode, body } = await request(url, {
      method: 'POST',
      dispatcher: this.#agent,
      headers: {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${secret}`,
      },
      body: new URLSearchParams(form).toString(),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await body.text();
    return documentIn(url, statusCode, text);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

function documentIn(url: string, status: number, text: string): unknown {
  if (status !== 200) throw new ProviderFault(`${url} answered with ${status}`);
  try {
    return JSON.parse(text);
  } catch {
    // The error would quote from the text.
    throw new ProviderFault(`${url} did not answer with JSON`);
  }
}

/** As a form would hold it: a blank is a plus. */
function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1);
}
