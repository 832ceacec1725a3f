import { expect, test } from "bun:test";
import { exposureWarnings } from "../../src/auth/exposure.ts";
import { loadConfig, parseCommandLine } from "../../src/config/load.ts";

const warnings = (...flags: string[]): string[] =>
  exposureWarnings(loadConfig(parseCommandLine(flags), {}));

test("a server that is open to others without a word about it warns, in one line", () => {
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "chat.example.com"]) {
    const [line, ...more] = warnings("--host", host);
    expect(line).toContain(host);
    expect(line).not.toContain("\n");
    expect(more).toEqual([]);
  }
  expect(warnings()[0]).toContain("--auth anonymous");
});

test("it does not where it is for this machine, has a key, or somebody said it", () => {
  for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
    expect(warnings("--host", host)).toEqual([]);
  expect(warnings("--auth", "anonymous")).toEqual([]);
  expect(warnings("--jwt-secret", "x".repeat(32))).toEqual([]);
});

const keysAt = (url: string, ...flags: string[]): string[] =>
  warnings("--jwks-url", url, ...flags);

test("an issuer's tokens for other applications are warned of", () => {
  const url = "https://id.example.com/keys";
  const lines = keysAt(url);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain("--jwt-audience");
  expect(keysAt(url, "--jwt-audience", "roomcast")).toEqual([]);
});

test("keys that come unencrypted from elsewhere are warned of, without a secret", () => {
  const audience = ["--jwt-audience", "roomcast"];
  const lines = keysAt("http://bob:pass-word@id.example.com/k", ...audience);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain("way to id.example.com can");
  expect(lines[0]).not.toContain("pass-word");
  for (const host of ["127.0.0.1:81", "localhost", "[::1]:81"])
    expect(keysAt(`http://${host}/k`, ...audience)).toEqual([]);
});
