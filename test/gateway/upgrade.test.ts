import { describe, expect, test } from "bun:test";
import {
  Refusal,
  needWebSocket,
  readChatRequest,
} from "../../src/gateway/upgrade.ts";

const MAX_NAME_BYTES = 64;

function read(query: string, offered?: string) {
  const url = new URL(`http://localhost/chat${query}`);
  const request = new Request(url.href, {
    headers: offered === undefined ? {} : { "sec-websocket-protocol": offered },
  });
  return readChatRequest(request, url, MAX_NAME_BYTES);
}

async function refusal(
  run: () => unknown,
): Promise<{ status: number; code: string; message: string }> {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(Refusal);
    const response = (error as Refusal).response();
    const body = (await response.json()) as { code: string; message: string };
    return { status: response.status, ...body };
  }
  throw new Error("it was not refused");
}

describe("the format", () => {
  test.each([
    ["", undefined, "json"],
    ["?format=json", undefined, "json"],
    ["?format=msgpack", undefined, "msgpack"],
    ["?format=text", undefined, "text"],
  ])(
    "of %j without a subprotocol is the one asked for",
    (query, offered, name) => {
      const { codec, subprotocol } = read(query, offered);
      expect(codec.name as string).toBe(name);
      expect(subprotocol).toBeUndefined();
    },
  );

  test.each([
    ["roomcast.v1.json", "json"],
    ["roomcast.v1.msgpack", "msgpack"],
    ["roomcast.v1.text", "text"],
    ["graphql-ws, roomcast.v1.msgpack", "msgpack"],
    ["roomcast.v2.json,roomcast.v1.text , roomcast.v1.json", "text"],
  ])(
    "of the offer %j is the first that is known, and is echoed",
    (offered, name) => {
      const { codec, subprotocol } = read("", offered);
      expect(codec.name as string).toBe(name);
      expect(subprotocol).toBe(`roomcast.v1.${name}`);
    },
  );

  test("offered as subprotocol beats the one in the query", () => {
    expect(read("?format=text", "roomcast.v1.msgpack").codec.name).toBe(
      "msgpack",
    );
    expect(read("?format=unknown", "roomcast.v1.json").codec.name).toBe("json");
  });

  test.each([
    "roomcast.v2.json",
    "json",
    "roomcast.v1.",
    "roomcast.v1.xml",
    "roomcast.v1.JSON",
    "a, b",
    "",
  ])("is refused where nothing in the offer %j is known", async (offered) => {
    expect(await refusal(() => read("?format=json", offered))).toEqual({
      status: 400,
      code: "invalid_field",
      message:
        "none of the offered subprotocols is known; known are roomcast.v1.json, roomcast.v1.msgpack, roomcast.v1.text",
    });
  });

  test.each(["xml", "JSON", "constructor"])(
    "%j is refused by name",
    async (format) => {
      expect(await refusal(() => read(`?format=${format}`))).toEqual({
        status: 400,
        code: "invalid_field",
        message: `format "${format}" is not known; known are json, msgpack, text`,
      });
    },
  );

  test("is cut short in the error where it is long", async () => {
    const { message } = await refusal(() =>
      read(`?format=${"x".repeat(5000)}`),
    );
    expect(message.length).toBeLessThan(200);
  });
});

describe("room, name and session", () => {
  test("come from the query", () => {
    expect(
      read("?room=general&name=Bob%20B.&session=abc.def&other=1"),
    ).toMatchObject({ room: "general", name: "Bob B.", session: "abc.def" });
  });

  test.each(["", "?room=&name=&session="])("of %j are none", (query) => {
    expect(read(query)).toMatchObject({
      room: undefined,
      name: undefined,
      session: undefined,
    });
  });

  test.each([
    [`?room=${"x".repeat(129)}`, "room must be at most 128 bytes of UTF-8"],
    [`?name=${"x".repeat(65)}`, "name must be at most 64 bytes of UTF-8"],
    [
      `?name=${encodeURIComponent("ü".repeat(33))}`,
      "name must be at most 64 bytes of UTF-8",
    ],
    ["?room=a%00b", "room must not hold control characters"],
    ["?name=a%0Ab", "name must not hold control characters"],
  ])("%s is refused: %s", async (query, message) => {
    expect(await refusal(() => read(query))).toEqual({
      status: 400,
      code: "invalid_field",
      message,
    });
  });

  test("may be as long as their limits", () => {
    const room = "x".repeat(128);
    const name = "ü".repeat(32);
    expect(
      read(`?room=${room}&name=${encodeURIComponent(name)}`),
    ).toMatchObject({ room, name });
  });
});

describe("a request that is no WebSocket upgrade", () => {
  test("is told to be one", async () => {
    const run = (): void => needWebSocket(new Request("http://localhost/chat"));
    expect(await refusal(run)).toEqual({
      status: 426,
      code: "not_a_websocket",
      message: "connect with a WebSocket client",
    });
    try {
      run();
    } catch (error) {
      const { headers } = (error as Refusal).response();
      expect(headers.get("upgrade")).toBe("websocket");
    }
  });

  test("is refused for another upgrade, while the right one passes in any case", async () => {
    const upgrade = (to: string): void =>
      needWebSocket(
        new Request("http://localhost/", { headers: { upgrade: to } }),
      );
    expect((await refusal(() => upgrade("h2c"))).status).toBe(426);
    upgrade("websocket");
    upgrade("WebSocket");
  });
});
