import { expect, test } from "bun:test";
import { HELP, parseChatOptions } from "../../src/terminal/options.ts";

test("everything has a default", () => {
  expect(parseChatOptions([], {})).toEqual({
    url: "http://localhost:8080",
    room: "general",
    name: undefined,
    token: undefined,
    format: "json",
    history: 20,
    timeout: 10,
  });
});

test("the address may come from the environment, and a flag beats it", () => {
  const env = { ROOMCAST_URL: "wss://chat.example.org" };
  expect(parseChatOptions([], env)?.url).toBe("wss://chat.example.org");
  expect(parseChatOptions(["--url", "http://localhost:1"], env)?.url).toBe(
    "http://localhost:1",
  );
});

test("the token may come from the environment, and a flag beats it", () => {
  const env = { ROOMCAST_TOKEN: "theirs" };
  expect(parseChatOptions([], env)?.token).toBe("theirs");
  expect(parseChatOptions(["--token", "mine"], env)?.token).toBe("mine");
});

test.each([
  [["--format", "xml"], '--format "xml"'],
  [["--url", "localhost:8080"], '--url "localhost:8080"'],
  [["--url", "http://"], '--url "http://"'],
  [["--room", ""], "--room"],
  [["--history", "-1"], "--history"],
  [["--history=501"], '--history "501"'],
  [["--timeout", "0"], '--timeout "0"'],
  [["--timeout", "1e3"], '--timeout "1e3"'],
  [["--nope"], "--nope"],
  [["word"], "word"],
])("%p is refused, and the error names it", (args, named) => {
  expect(() => parseChatOptions(args, {})).toThrow(named);
});

test("--help lists every option", () => {
  expect(parseChatOptions(["--help"], {})).toBeUndefined();
  for (const option of [
    "url",
    "room",
    "name",
    "token",
    "format",
    "history",
    "timeout",
  ])
    expect(HELP).toContain(`--${option}`);
});
