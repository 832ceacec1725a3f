import { expect, setDefaultTimeout, test } from "bun:test";
import { MODERATORS_SANCTIONS, Moderators } from "../../src/api/moderators.ts";
import { ROUTES } from "../../src/api/routes.ts";
import { Auth, KeysUnavailable } from "../../src/auth/auth.ts";
import { readAuthSettings } from "../../src/auth/settings.ts";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";
import { FOR_GOOD } from "../../src/data/sanctions-file.ts";
import { Sanctions } from "../../src/gateway/sanctions.ts";
import { SECRET, token } from "../support/tokens.ts";

// On a machine that does much else: this only ends what hangs.
setDefaultTimeout(60_000);

const authOf = (...flags: string[]): Auth =>
  new Auth(
    readAuthSettings(loadConfig(parseCommandLine(flags), {})),
    () => undefined,
  );

const shown = await token({ rooms: { r: ["join", "moderate"] } });

test("what is open to moderators is of one room", () => {
  const open = ROUTES.filter(({ moderators }) => moderators);
  expect(open.length).toBeGreaterThan(0);
  for (const { path } of open) expect(path).toStartWith("/rooms/{room}/");
});

test("places for bans are kept for the application; moderators can lift some then", async () => {
  const sanctions = new Sanctions();
  const moderators = new Moderators(
    authOf("--jwt-secret", SECRET),
    sanctions,
    Infinity,
  );
  const until = FOR_GOOD;
  for (let i = 1; i < MODERATORS_SANCTIONS; i++)
    sanctions.set({ kind: "mute", user: `u${i}`, room: "", until });
  const impose = () => moderators.open("POST", "/rooms/r/bans", shown);
  expect(await impose()).toBe("bob");
  sanctions.set({ kind: "ban", user: "ann", room: "r", until });
  await expect(impose()).rejects.toMatchObject({
    status: 409,
    code: "too_many",
  });
  expect(await moderators.open("DELETE", "/rooms/r/bans/ann", shown)).toBe(
    "bob",
  );
});

test("a token that cannot be checked now is not told to be wrong", async () => {
  const moderators = new Moderators(
    authOf("--jwks-url", "http://127.0.0.1:1/keys"),
    new Sanctions(),
    Infinity,
  );
  const named = shown.replace(
    /^[^.]+/,
    Buffer.from('{"alg":"ES256","kid":"k"}').toString("base64url"),
  );
  await expect(
    moderators.open("GET", "/rooms/r/bans", named),
  ).rejects.toBeInstanceOf(KeysUnavailable);
});
