import { Webhook } from "standardwebhooks";
import { Watchers } from "../support/watchers.ts";

export const SECRET = `whsec_${Buffer.from("a secret that only tests know 12").toString("base64")}`;

export interface Asked {
  readonly id: string;
  readonly body: any;
}

/** An application's back end: checks signatures with the library that applications use, and answers as a test wants. */
export class Application implements Disposable {
  readonly asked: Asked[] = [];
  /** @returns a Response, or a body for status 200 */
  answer: (asked: Asked) => unknown = () => ({});
  readonly #watchers = new Watchers();
  readonly #server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      const body = await request.text();
      // Throws where the signature is wrong: then the request fails, and with it the test.
      new Webhook(SECRET).verify(body, request.headers.toJSON());
      const asked = {
        id: request.headers.get("webhook-id")!,
        body: JSON.parse(body),
      };
      this.asked.push(asked);
      this.#watchers.changed();
      const answer = await this.answer(asked);
      return answer instanceof Response ? answer : Response.json(answer);
    },
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/hook`;
  }

  /** Resolves when enough was asked. */
  until(enough: () => boolean): Promise<void> {
    return this.#watchers.until(enough);
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}
