import { expect, test } from "bun:test";
import { failure } from "../../src/api/answer.ts";
import { SanctionsFull } from "../../src/gateway/sanctions.ts";
import { createLogger } from "../../src/logging/logger.ts";

test("that there is no room for another sanction is the caller's business, and not logged", () => {
  const lines: string[] = [];
  const logger = createLogger("debug", { write: (line) => lines.push(line) });
  const { status, body } = failure(new SanctionsFull(), logger);
  expect(status).toBe(409);
  expect(JSON.parse(body)).toMatchObject({ code: "too_many" });
  expect(lines).toEqual([]);
});
