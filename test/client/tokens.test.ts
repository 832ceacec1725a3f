import { expect, setDefaultTimeout, test } from "bun:test";
import { RoomcastError } from "../../src/client/index.ts";
import { SECRET, inSeconds, token } from "../support/tokens.ts";
import { next } from "./follow.ts";
import { Scene, failure } from "./scene.ts";

// On a machine that does much else: this only ends what hangs.
setDefaultTimeout(30_000);

/** The client and tokens that expire, or say something else by and by. Times: see the server's tests. */

const FLAGS = ["--jwt-secret", SECRET, "--ping-interval-ms", "800"];

test("a token that is about to expire is replaced without a reconnect, and rooms that the new one closes are left", async () => {
  await using scene = new Scene(...FLAGS);
  const tokens = [
    await token({ exp: inSeconds(-2) }),
    await token({ rooms: { open: ["join", "send"] } }),
  ];
  const client = scene.connect({ token: () => tokens.shift()! });
  let welcomes = 0;
  client.on("welcome", () => welcomes++);
  const open = await client.join("open");
  const shut = await client.join("shut");
  const error = await new Promise((resolve) => shut.on("left", resolve));
  expect(error).toBeInstanceOf(RoomcastError);
  expect(error).toMatchObject({ code: "forbidden" });
  expect(shut.state).toBe("left");
  expect(await failure(shut.send("x"))).toMatchObject({ code: "forbidden" });
  await open.send("still here");
  expect(welcomes).toBe(1);
  expect(await failure(client.join("shut"))).toMatchObject({
    code: "forbidden",
  });
});

test("a token that has expired, with no new one at first, ends the connection; the client comes back by itself", async () => {
  await using scene = new Scene(...FLAGS);
  const short = await token({ exp: inSeconds(-2) });
  const long = await token();
  let asked = 0;
  const client = scene.connect({
    minBackoffMs: 1,
    token: () => {
      if (++asked === 2) throw new Error("the issuer sleeps");
      return asked === 1 ? short : long;
    },
  });
  const room = await client.join("general");
  expect(
    await next(client, "state", ({ state }) => state !== "open"),
  ).toMatchObject({
    state: "reconnecting",
    code: 4011,
  });
  await room.send("back again");
  expect(client.user).toEqual({ id: "bob", name: "bob" });
});

test("without a token, where one is needed, the client is closed with the reason", async () => {
  await using scene = new Scene(
    ...["--jwt-secret", SECRET, "--auth-timeout-ms", "100"],
  );
  const client = scene.connect();
  expect(await next(client, "state")).toMatchObject({
    state: "closed",
    code: 4010,
    reason: "no token in time",
  });
});
