import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { readAuthSettings } from "../../src/auth/settings.ts";
import {
  ConfigError,
  loadConfig,
  parseCommandLine,
} from "../../src/config/load.ts";
import { TempFolder } from "../support/server.ts";
import { SECRET, keyPair } from "../support/tokens.ts";

// Only ends what hangs. The preload's reaches the first file of a run only (Bun 1.4.5).
setDefaultTimeout(60_000);

const read = (...flags: string[]) =>
  readAuthSettings(loadConfig(parseCommandLine(flags), {}));

function refusal(...flags: string[]): string {
  try {
    read(...flags);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error("it was not refused");
}

describe("guests", () => {
  test("are all there is without a key, and are not there with one, unless that is said", () => {
    expect(read()).toMatchObject({ key: undefined, guests: true });
    expect(read("--auth", "anonymous").guests).toBe(true);
    expect(read("--jwt-secret", SECRET).guests).toBe(false);
    expect(read("--jwt-secret", SECRET, "--auth", "required").guests).toBe(
      false,
    );
    expect(read("--jwt-secret", SECRET, "--auth", "optional").guests).toBe(
      true,
    );
  });

  test("what contradicts itself is refused", () => {
    expect(refusal("--jwt-secret", SECRET, "--auth", "anonymous")).toContain(
      "--auth anonymous",
    );
    for (const auth of ["required", "optional"])
      expect(refusal("--auth", auth)).toContain("there is no key");
  });

  test("have rooms of their own where that is said", () => {
    expect(read("--guest-rooms", "a:join  b").guestRooms).toEqual({
      a: ["join"],
      b: ["join", "send", "history"],
    });
    expect(read("--guest-rooms", "").guestRooms).toEqual({});
    expect(refusal("--guest-rooms", "a:fly")).toMatch(/--guest-rooms: "fly"/);
    expect(refusal("--guest-rooms", "a:join,moderate")).toMatch(
      /^--guest-rooms: guests cannot moderate/,
    );
  });
});

describe("a key", () => {
  test("is one of three", () => {
    expect(
      refusal("--jwt-secret", SECRET, "--jwks-url", "https://id.example.com"),
    ).toContain("more than one");
  });

  test("that is a secret has 32 bytes, and is in no error", () => {
    const short = "only-31-bytes-are-not-enough-01";
    const message = refusal("--jwt-secret", short);
    expect(message).toContain("31 bytes");
    expect(message).not.toContain(short);
    expect(read("--jwt-secret", "ü".repeat(16)).key?.kind).toBe("secret");
  });

  test("that is a URL is one of http", () => {
    for (const bad of ["id.example.com", "ftp://x/keys", "https://"])
      expect(refusal("--jwks-url", bad)).toContain(
        "an http:// or https:// URL",
      );
    expect(read("--jwks-url", "https://id.example.com/k").key).toMatchObject({
      url: "https://id.example.com/k",
    });
  });

  test("that is a file is a public key strong enough, and of a kind that is known", () => {
    using folder = new TempFolder();
    const file = join(folder.path, "key.pem");
    const with_ = (content: string): string[] => {
      writeFileSync(file, content);
      return ["--jwt-public-key", file];
    };
    expect(read(...with_(keyPair("rsa").publicPem)).key).toMatchObject({
      algorithms: ["RS256"],
    });
    for (const [content, why] of [
      ["nonsense".repeat(20), "holds no public key"],
      [keyPair("rsa", 1024).publicPem, "too short"],
      [keyPair("ec", 0, "P-384").publicPem, "another curve"],
      [keyPair("ec").privatePem, "holds a private key"],
    ] as const) {
      const message = refusal(...with_(content));
      expect(message).toContain(why);
      expect(message).not.toContain(content.slice(-60, -30));
    }
    expect(refusal("--jwt-public-key", join(folder.path, "none"))).toContain(
      "cannot be read",
    );
  });
});
