/** The largest answer that is read. */
const MAX_ANSWER_BYTES = 256 * 1024;

/** The application did not take what it was sent, or did not say so in time. */
export class WebhookError extends Error {}

/**
 * One URL of the application, to which signed JSON is posted.
 *
 * Signed as Standard Webhooks has it (https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` (seconds since 1970)
 * and `webhook-signature`, which is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
 */
export class Endpoint {
  readonly #key: Uint8Array;

  constructor(
    readonly url: string,
    /** As text; with the prefix `whsec_`, base64 of the key's bytes. */
    secret: string,
    private readonly timeoutMs: number,
  ) {
    this.#key = secret.startsWith(BASE64_PREFIX)
      ? Buffer.from(secret.slice(BASE64_PREFIX.length), "base64")
      : Buffer.from(secret);
  }

  /**
   * @param id names what is sent: the same when it is sent again
   * @returns the body of the answer
   * @throws WebhookError no answer in time, or another status than 2xx
   */
  async post(id: string, body: string): Promise<string> {
    const timestamp = Math.floor(Date.now() / 1000);
    try {
      const response = await fetch(this.url, {
        method: "POST",
        body,
        headers: {
          "content-type": "application/json",
          "user-agent": "roomcast",
          "webhook-id": id,
          "webhook-timestamp": String(timestamp),
          "webhook-signature": `v1,${this.#sign(id, timestamp, body)}`,
        },
        // What is signed for one place is not for another.
        redirect: "error",
        signal: AbortSignal.timeout(this.timeoutMs),
      });
      if (!response.ok) {
        await response.body?.cancel();
        throw new WebhookError(`it answered ${response.status}`);
      }
      return await readBounded(response);
    } catch (error) {
      if (error instanceof WebhookError) throw error;
      const timedOut = (error as Error).name === "TimeoutError";
      throw new WebhookError(
        timedOut
          ? `it did not answer within ${this.timeoutMs} ms`
          : // The message would hold the URL, and that perhaps a secret.
            `it cannot be reached: ${(error as { code?: string }).code ?? "no answer"}`,
      );
    }
  }

  #sign(id: string, timestamp: number, body: string): string {
    return new Bun.CryptoHasher("sha256", this.#key)
      .update(`${id}.${timestamp}.${body}`)
      .digest("base64");
  }
}

const BASE64_PREFIX = "whsec_";

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES)
      throw new WebhookError(
        `its answer is larger than ${MAX_ANSWER_BYTES} bytes`,
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
