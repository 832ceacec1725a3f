import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { BackEnd, KEY } from "../support/api.ts";
import { testSeed } from "../support/random.ts";
import { InProcessServer } from "../support/server.ts";

setDefaultTimeout(60_000);

const RUNS = 40;

/** Names that come often, so that what one request does another one finds. */
const OFTEN: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  room: fc.constant("general"),
  user: fc.constant("ann"),
  seq: fc.integer({ min: 1, max: 5 }),
};

const anyText = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 30 }),
  fc.string({ unit: "binary", maxLength: 130 }),
);

/** Whatever a schema of the document allows. */
function valueOf(schema: any, name = ""): fc.Arbitrary<unknown> {
  const any = anythingOf(schema);
  return name in OFTEN ? fc.oneof(OFTEN[name]!, any) : any;
}

function anythingOf(schema: any): fc.Arbitrary<unknown> {
  const { type, properties, required = [] } = schema;
  switch (type) {
    case "string": {
      const pattern = new RegExp(schema.pattern ?? "");
      const most = schema["x-max-bytes"] ?? schema.maxLength ?? Infinity;
      const text = schema.pattern?.startsWith("^[!-~]")
        ? fc.string({ unit: "grapheme-ascii", maxLength: 64 })
        : anyText;
      return text.filter(
        (value) => pattern.test(value) && Buffer.byteLength(value) <= most,
      );
    }
    case "integer":
      return fc.integer({ min: schema.minimum, max: schema.maximum });
    case "array":
      return fc.array(valueOf(schema.items), {
        maxLength: Math.min(schema.maxItems, 20),
      });
    case "object": {
      if (!properties)
        return fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue(), {
          maxKeys: 3,
        });
      const fields = Object.entries(properties).map(
        ([key, value]) => [key, valueOf(value, key)] as const,
      );
      return fc.record(Object.fromEntries(fields), { requiredKeys: required });
    }
  }
  throw new Error(`the document has a schema of the kind ${type}`);
}

interface Call {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

/** Calls of an operation as the document tells them. */
function callsOf(template: string, operation: any): fc.Arbitrary<Call> {
  const { parameters = [], requestBody } = operation;
  const given = fc.record(
    Object.fromEntries(
      parameters.map((p: any) => [p.name, valueOf(p.schema, p.name)]),
    ),
    {
      requiredKeys: parameters
        .filter((p: any) => p.required)
        .map((p: any) => p.name),
    },
  ) as fc.Arbitrary<Record<string, unknown>>;
  const schema = requestBody?.content["application/json"].schema;
  const body = schema ? valueOf(schema) : fc.constant(undefined);
  return fc.tuple(given, body).map(([values, body]) => {
    const call = {
      path: template,
      headers: {} as Record<string, string>,
      query: new URLSearchParams(),
      body,
    };
    for (const { name, in: place } of parameters) {
      const value = values[name];
      if (value === undefined) continue;
      if (place === "header") call.headers[name] = String(value);
      else if (place === "query") call.query.set(name, String(value));
      else
        call.path = call.path.replace(`{${name}}`, () =>
          encodeURIComponent(String(value)),
        );
    }
    return call;
  });
}

test("whatever the document allows is taken, and answered as it tells", async () => {
  await using server = new InProcessServer("--api-key", KEY);
  // It compares each answer with the document.
  const back = await BackEnd.at(server.http);
  const seed = testSeed();
  for (const [template, operations] of Object.entries<any>(back.document.paths))
    for (const [method, operation] of Object.entries<any>(operations)) {
      const statuses = new Set<number>();
      const property = fc.asyncProperty(
        callsOf(template, operation),
        async ({ path, query, headers, body }) => {
          // What only words can tell.
          if (query.has("before")) query.delete("after");
          const { status, body: said } = await back.ask(
            method.toUpperCase(),
            `${path}?${query}`,
            body,
            headers,
          );
          statuses.add(status);
          expect(operation.responses).toHaveProperty(`${status}`);
          expect([200, 201, 204, 403, 404], JSON.stringify(said)).toContain(
            status,
          );
        },
      );
      await fc.assert(property, { numRuns: RUNS, seed });
      expect(
        [...statuses].some((status) => status < 300),
        `${method} ${template} succeeds`,
      ).toBe(true);
    }
});
