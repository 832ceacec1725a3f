import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { parseTokenOptions } from "../../src/auth/token-tool.ts";
import { Client } from "../support/client.ts";
import { InProcessServer } from "../support/server.ts";
import { SECRET } from "../support/tokens.ts";

// On a machine that does much else: this only ends what hangs.
setDefaultTimeout(30_000);

const ROOT = join(import.meta.dir, "../..");

async function run(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn(
    [process.execPath, "run", "--silent", "token", ...args],
    {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const [code, out, err] = await Promise.all([
    child.exited,
    child.stdout.text(),
    child.stderr.text(),
  ]);
  return { code, out, err };
}

test("it prints a token that the server takes, and nothing else", async () => {
  await using server = new InProcessServer(
    ...["--jwt-secret", SECRET, "--jwt-issuer", "me", "--jwt-audience", "you"],
  );
  const args = ["--sub", "bob", "--name", "Bob Ross", "--ttl", "1h"];
  const rooms = ["--room", "team-*:join,send", "--room", "lobby"];
  const { code, out, err } = await run([...args, ...rooms], {
    ROOMCAST_JWT_SECRET: SECRET,
    ROOMCAST_JWT_ISSUER: "me",
    ROOMCAST_JWT_AUDIENCE: "you",
  });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const [, claims] = out.split(".");
  expect(JSON.parse(Buffer.from(claims!, "base64url").toString())).toEqual({
    sub: "bob",
    name: "Bob Ross",
    iat: expect.any(Number),
    exp: expect.any(Number),
    iss: "me",
    aud: "you",
    rooms: { "team-*": ["join", "send"], lobby: ["join", "send", "history"] },
  });
  using bob = await Client.connect(server.url, "json", `token=${out.trim()}`);
  expect(bob.user).toEqual({ id: "bob", name: "Bob Ross" });
  expect(await bob.join("team-a")).toMatchObject({ action: "room_joined" });
  expect(await bob.join("other")).toMatchObject({ code: "forbidden" });
});

test("a wrong option is one line on stderr, code 2, and holds no secret", async () => {
  const short = "a-secret-of-too-few-bytes";
  const { code, out, err } = await run([
    ...["--sub", "bob", "--jwt-secret", short],
  ]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(/^token: --jwt-secret: it has 25 bytes.*\n$/);
  expect(err).not.toContain(short);
});

test.each([
  [[], "--sub"],
  [["--sub", ""], "--sub"],
  [["--sub", "guest:x"], "guest:"],
  [["--sub", "a\nb"], "control characters"],
  [["--sub", "bob", "--name", ""], "--name"],
  [["--sub", "bob", "--name", "n".repeat(65)], "--name"],
  [["--sub", "s".repeat(129)], "--sub"],
  [["--sub", "bob", "--ttl", "1y"], '--ttl "1y"'],
  [["--sub", "bob", "--ttl", "0s"], "--ttl"],
  [["--sub", "bob", "--ttl", "4000d"], "--ttl"],
  [["--sub", "bob", "--room", "a:fly"], '--room "fly"'],
  [["--sub", "bob", "--room", ""], "--room"],
  [["--sub", "bob", "word"], "word"],
  [["--subject", "bob"], "--subject"],
])("%p is refused, and the error names it", (args, named) => {
  expect(() =>
    parseTokenOptions(args, { ROOMCAST_JWT_SECRET: SECRET }),
  ).toThrow(named);
});

test("a name may be as long as the server lets it be", () => {
  const name = "n".repeat(65);
  const args = ["--sub", "bob", "--name", name];
  const env = { ROOMCAST_JWT_SECRET: SECRET, ROOMCAST_MAX_NAME_BYTES: "65" };
  expect(parseTokenOptions(args, env)!.name).toBe(name);
  env.ROOMCAST_MAX_NAME_BYTES = "63";
  const shorter = ["--sub", "bob", "--name", name.slice(1)];
  expect(() => parseTokenOptions(shorter, env)).toThrow("--name");
});

test("the secret is asked for, and --help is help", async () => {
  expect(() => parseTokenOptions(["--sub", "bob"], {})).toThrow(
    "ROOMCAST_JWT_SECRET",
  );
  const { code, out } = await run(["--help"]);
  expect(code).toBe(0);
  expect(parseTokenOptions(["-h"], {})).toBeUndefined();
  for (const option of ["sub", "name", "room", "ttl", "jwt-secret"])
    expect(out).toContain(`--${option}`);
});

test("the same pattern given twice has the rights of both", () => {
  const args = ["--sub", "b", "--room", "a:join", "--room", "a:send,join"];
  expect(
    parseTokenOptions(args, { ROOMCAST_JWT_SECRET: SECRET })!.rooms,
  ).toEqual({ a: ["join", "send"] });
});
