import { ApiError, errorAnswer, type ApiAnswer } from "../api/answer.ts";
import type { ApiHandler } from "../api/front.ts";
import type { Channel } from "./channel.ts";
import { Requests } from "./requests.ts";
import type { ToHub, ToThread } from "./wire.ts";

const RETRY_AFTER_MS = 1000;

/** The hub's HTTP API, as a gateway thread has it. Keys and bodies were looked at in the thread. */
export class ThreadApi {
  readonly #answers = new Requests();

  constructor(private readonly channel: () => Channel<ToHub, ToThread>) {}

  readonly handle: ApiHandler = async (request) => {
    const channel = this.channel();
    if (channel.full)
      return errorAnswer(
        new ApiError(
          503,
          "overloaded",
          "the server receives more than it can carry",
          {},
          RETRY_AFTER_MS,
        ),
      );
    const { method, path, query, idempotencyKey, body } = request;
    return await this.#answers.ask<ApiAnswer>((number) =>
      channel.send("api", number, method, path, query, idempotencyKey, body),
    );
  };

  readonly calls: Pick<ToThread, "apiAnswered"> = {
    apiAnswered: (number, status, body, headers) => {
      const answer: ApiAnswer = { status, body, headers: JSON.parse(headers) };
      this.#answers.answer(number, answer);
    },
  };
}
