import { expect, test } from "bun:test";
import { exposureWarning } from "../../src/auth/exposure.ts";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";

const warning = (...flags: string[]): string | undefined =>
  exposureWarning(loadConfig(parseCommandLine(flags), {}));

test("a server that is open to others without a word about it warns, in one line", () => {
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "chat.example.com"]) {
    const line = warning("--host", host)!;
    expect(line).toContain(host);
    expect(line).not.toContain("\n");
  }
  expect(warning()).toContain("--auth anonymous");
});

test("it does not where it is for this machine, has a key, or somebody said it", () => {
  for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
    expect(warning("--host", host)).toBeUndefined();
  expect(warning("--auth", "anonymous")).toBeUndefined();
  expect(warning("--jwt-secret", "x".repeat(32))).toBeUndefined();
  expect(warning("--jwks-url", "https://id.example.com/keys")).toBeUndefined();
});
