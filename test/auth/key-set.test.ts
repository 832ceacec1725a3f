import { createPublicKey } from "node:crypto";
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import {
  Auth,
  KeysUnavailable,
  MAX_JWKS_BYTES,
  TokenError,
} from "../../src/auth/auth.ts";
import { readAuthSettings } from "../../src/auth/settings.ts";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import { keyPair, token } from "../support/tokens.ts";

// On a machine that does much else: this only ends what hangs.
setDefaultTimeout(30_000);

/** Key servers that answer something else than keys. */

const PAIR = keyPair("ec");
const JWK = createPublicKey(PAIR.publicPem).export({ format: "jwk" });
const KEYS = { keys: [{ ...JWK, kid: "k", alg: "ES256", use: "sig" }] };
const GOOD = await token({}, PAIR.privateKey, { alg: "ES256", kid: "k" });

const servers: { stop(force: boolean): unknown }[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) void server.stop(true);
});

/** @param answer of a key server, each time it is asked */
function authBy(answer: () => Response): {
  auth: Auth;
  said: string[];
  fetched: () => number;
} {
  let fetched = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch() {
      fetched++;
      return answer();
    },
  });
  servers.push(server);
  const said: string[] = [];
  const url = `http://bob:pass-word@127.0.0.1:${server.port}/keys`;
  const config = loadConfig(parseCommandLine(["--jwks-url", url]), {});
  const auth = new Auth(readAuthSettings(config), (text) => said.push(text));
  return { auth, said, fetched: () => fetched };
}

test("a key set is taken up to its bound, and not above it", async () => {
  let length = 0;
  const padded = (): Response => {
    const rest = length - JSON.stringify({ ...KEYS, pad: "" }).length;
    return Response.json({ ...KEYS, pad: "x".repeat(rest) });
  };
  length = MAX_JWKS_BYTES;
  const most = authBy(padded);
  expect((await most.auth.verify(GOOD)).user.id).toBe("bob");
  expect(most.said).toEqual([]);
  length = MAX_JWKS_BYTES + 1;
  const more = authBy(padded);
  await expect(more.auth.verify(GOOD)).rejects.toBeInstanceOf(KeysUnavailable);
});

test("an answer without an end is not read to its end", async () => {
  const { promise: cancelled, resolve } = Promise.withResolvers<void>();
  const { auth, said } = authBy(
    () =>
      new Response(
        new ReadableStream({
          async pull(controller) {
            controller.enqueue(Buffer.alloc(64 * 1024, " "));
            await Bun.sleep(0);
          },
          cancel: () => resolve(),
        }),
      ),
  );
  await expect(auth.verify(GOOD)).rejects.toBeInstanceOf(KeysUnavailable);
  await cancelled;
  expect(said[0]).toContain(`longer than ${MAX_JWKS_BYTES} bytes`);
});

test.each([
  ["no JSON", () => new Response("<html>pass-word")],
  ["null", () => Response.json(null)],
  ["no keys", () => Response.json({ pass: "pass-word" })],
  ["keys that are no objects", () => Response.json({ keys: [7] })],
  ["a redirect", () => Response.redirect("http://127.0.0.1:1/?k=pass-word")],
  ["a failure", () => new Response("pass-word", { status: 500 })],
])(
  "%s: the operator is told, without a secret, and not every token asks again",
  async (_, answer) => {
    const { auth, said, fetched } = authBy(answer);
    for (let i = 0; i < 20; i++)
      await expect(auth.verify(GOOD)).rejects.toBeInstanceOf(KeysUnavailable);
    // Once a second at most, however long this takes.
    expect(fetched()).toBeLessThan(20);
    expect(said).toHaveLength(fetched());
    expect(said[0]).toMatch(
      /^--jwks-url: no keys from 127\.0\.0\.1:\d+: its? answer/,
    );
    expect(said.join()).not.toContain("pass-word");
  },
);

test("a key set without the token's key, or with one that is none, makes no token valid", async () => {
  const { auth } = authBy(() =>
    Response.json({
      keys: [{ ...JWK, kid: "other" }, {}, { kty: "RSA", kid: "k" }],
    }),
  );
  await expect(auth.verify(GOOD)).rejects.toBeInstanceOf(TokenError);
});
