import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, setDefaultTimeout, test } from "bun:test";
import { openApi } from "../../src/api/openapi.ts";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import { ROUTES } from "../../src/api/routes.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

const config = (...flags: string[]) => loadConfig(parseCommandLine(flags), {});
const document = openApi(config()) as any;

test("the document is valid OpenAPI", async () => {
  // A copy: TypeBox marks its schemas in ways that JSON does not show.
  const copy = JSON.parse(JSON.stringify(document));
  const validator = new Validator();
  expect(await validator.validate(copy)).toEqual({ valid: true });
  expect(validator.version).toBe("3.1");
  // The validator finds what is wrong.
  const broken = structuredClone(copy);
  delete broken.paths["/rooms"].get.responses;
  broken.paths["/rooms"].get.parameters[0].in = "nowhere";
  expect((await new Validator().validate(broken)).valid).toBe(false);
});

test("it tells exactly the routes that there are", () => {
  const told = Object.entries<any>(document.paths).flatMap(
    ([path, operations]) =>
      Object.keys(operations).map(
        (method) => `${method.toUpperCase()} ${path}`,
      ),
  );
  expect(told.toSorted()).toEqual(
    ROUTES.map(({ method, path }) => `${method} ${path}`).toSorted(),
  );
});

test("it tells where a moderator's token opens as much as a key", () => {
  for (const { method, path, moderators } of ROUTES)
    expect(document.paths[path][method.toLowerCase()].security).toEqual(
      moderators ? [{ key: [] }, { moderator: [] }] : undefined,
    );
});

test("every operation has a name of its own", () => {
  const names = ROUTES.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

test("limits in it are those of the server", () => {
  const textOf = (told: any): object =>
    told.paths["/rooms/{room}/messages"].post.requestBody.content[
      "application/json"
    ].schema.properties.text;
  expect(textOf(openApi(config("--max-text-bytes", "77")))).toEqual({
    type: "string",
    maxLength: 77,
    "x-max-bytes": 77,
  });
});
