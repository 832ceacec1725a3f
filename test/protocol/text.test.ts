import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ServerMessage } from "../../src/protocol/messages.ts";
import { LineDecoder, oneLine, text } from "../../src/protocol/text.ts";
import { MAX_ROOM_BYTES, nameProblem } from "../../src/protocol/validate.ts";
import { anyName, anyText } from "./arbitraries.ts";
import { refusal } from "./refusal.ts";

/** Whatever a terminal, an editor or Unicode takes for a line's end, and other controls. */
const BREAKS_LINE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

/** Texts that try: line breaks, brackets and prompts are frequent. */
const forgery = fc
  .array(
    fc.oneof(
      anyText,
      fc.constantFrom(
        "\n",
        "\r",
        "\r\n",
        "\u0085",
        "\u2028",
        "\u2029",
        "\v",
        "\f",
        "\u001b[2K",
        "\b",
        "[admin]: ",
        "]: ",
        "[",
        "]",
        "! ",
        "⏎",
      ),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(""));

const forgedName = forgery.filter((name) => !nameProblem(name, MAX_ROOM_BYTES));

const message = (from: string, content: string): ServerMessage => ({
  action: "receive_message",
  room: "general",
  seq: 1,
  from,
  user: "u",
  text: content,
  ts: 0,
});

const receive = (room: string, frame: string): readonly unknown[] =>
  new LineDecoder(room).decode(frame);

describe("a line from a client", () => {
  test("is a message to the connection's room", () => {
    expect(receive("general", "Hi everyone")).toEqual([
      { action: "send_message", room: "general", text: "Hi everyone" },
    ]);
  });

  test.each([
    ["Hi\n", "Hi"],
    ["Hi\r\n", "Hi"],
    ["Hi\n\n", "Hi\n"],
    ["Hi\nthere\n", "Hi\nthere"],
    ["Hi\r", "Hi\r"],
    [" Hi ", " Hi "],
    ["//join me", "/join me"],
    ["///", "//"],
  ])("%j is the message %j", (frame, content) => {
    expect(receive("r", frame)).toEqual([
      { action: "send_message", room: "r", text: content },
    ]);
  });

  test.each(["", "\n", "\r\n"])("%j is empty, and is refused", (frame) => {
    expect(refusal(() => receive("r", frame))).toEqual([
      "invalid_field",
      "the line is empty: nothing was sent",
    ]);
  });

  test("/who asks for the members, /help for the help", () => {
    expect(receive("r", "/who\n")).toEqual([
      { action: "get_members", room: "r", ref: expect.any(Number) },
    ]);
    expect(receive("r", "/help")).toEqual([{ action: "ping" }]);
  });

  test.each(["/", "/joined x", "/JOIN x", "/leave", "/\u0085"])(
    "%j is no command",
    (frame) => {
      const [code, problem] = refusal(() => receive("r", frame));
      expect(code).toBe("unknown_action");
      expect(problem).toStartWith("there is no command ");
    },
  );

  test("a binary frame is refused", () => {
    const decoder = new LineDecoder("r");
    expect(refusal(() => decoder.decode(Buffer.from("Hi")))).toEqual([
      "bad_frame",
      "this connection speaks text: text frames only",
    ]);
  });

  test("every frame becomes requests or an error of the table", () => {
    fc.assert(
      fc.property(forgery, fc.boolean(), (content, command) => {
        const frame = command ? `/${content}` : content;
        try {
          expect(receive("r", frame).length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toHaveProperty("code");
        }
      }),
    );
  });
});

describe("/join", () => {
  const join = (room: string) => ({
    action: "join_room",
    room,
    ref: expect.any(Number),
  });

  test("leaves lines where they go until it has happened: it may be refused", () => {
    const decoder = new LineDecoder("old");
    const goesTo = (room: string): void =>
      expect(decoder.decode("Hi")).toEqual([
        { action: "send_message", room, text: "Hi" },
      ]);
    expect(decoder.decode("/join  new room \n")).toEqual([join("new room")]);
    goesTo("old");
    decoder.moved("new room");
    goesTo("new room");
    expect(decoder.decode("/join new room")).toEqual([join("new room")]);
  });

  test.each(["/join", "/join ", "/join\n"])("%j lacks the room", (frame) => {
    expect(refusal(() => receive("r", frame))).toEqual([
      "invalid_field",
      "/join needs a room: /join ROOM",
    ]);
  });
});

describe("a line from the server", () => {
  test("is [name]: text for a message", () => {
    expect(text.encode(message("Bob", "Hi everyone"))).toBe(
      "[Bob]: Hi everyone",
    );
  });

  test("shows line breaks as ⏎ and leaves other control characters out", () => {
    expect(oneLine("a\nb\r\nc\rd\u0085e\u2028f\u2029g")).toBe("a⏎b⏎c⏎d⏎e⏎f⏎g");
    expect(oneLine("\u0000a\tb\u001b[31mc\u007fd\u009be\v\f")).toBe(
      "ab[31mcde",
    );
    expect(oneLine("Größe 房间 👩‍👩‍👧")).toBe("Größe 房间 👩‍👩‍👧");
  });

  test("of a message holds its sender and its text and no second line, whatever they are", () => {
    fc.assert(
      fc.property(forgedName, forgery, (from, content) => {
        const line = text.encode(message(from, content)) as string;
        expect(line).not.toMatch(BREAKS_LINE);
        // The first "]: " ends the name: nobody can look like somebody else who says something.
        const end = line.indexOf("]: ");
        const name = from.replaceAll("[", "(").replaceAll("]", ")");
        expect(line.slice(0, end)).toBe(`[${name}`);
        expect(line.slice(end + 3)).toBe(oneLine(content));
      }),
      { numRuns: 1000 },
    );
  });

  test("of any other kind holds no line break and never starts like a message", () => {
    const user = fc.record({ id: fc.string(), name: forgedName });
    const others: fc.Arbitrary<ServerMessage> = fc.oneof(
      fc.record({
        action: fc.constant("error" as const),
        code: fc.constant("invalid_field"),
        message: forgery,
      }),
      fc.record({
        action: fc.constant("members" as const),
        room: forgedName,
        count: fc.nat(),
        members: fc.array(user),
      }),
      fc.record({
        action: fc.constant("reconnect" as const),
        after_ms: fc.nat(),
      }),
    );
    fc.assert(
      fc.property(others, (other) => {
        const line = text.encode(other) as string;
        expect(line).not.toMatch(BREAKS_LINE);
        expect(line).not.toStartWith("[");
      }),
      { numRuns: 500 },
    );
  });

  test.each<[string | null, ServerMessage]>([
    [
      "You are connected! There are 3 users here.",
      {
        action: "welcome",
        version: 1,
        connection: "c",
        user: { id: "u", name: "n" },
        users: 3,
        ping_interval_ms: 1,
        limits: {
          max_frame_bytes: 0,
          max_text_bytes: 0,
          max_data_bytes: 0,
          max_rooms_per_connection: 0,
          max_messages_per_second: 0,
          max_history_per_reply: 1,
        },
      },
    ],
    [
      "2 users in general: A, (B)",
      {
        action: "members",
        room: "general",
        count: 2,
        members: [
          { id: "1", name: "A" },
          { id: "2", name: "[B]" },
        ],
      },
    ],
    [
      "5 users in general: A and 4 more",
      {
        action: "members",
        room: "general",
        count: 5,
        members: [{ id: "1", name: "A" }],
      },
    ],
    [
      "! text is missing",
      { action: "error", code: "invalid_field", message: "text is missing" },
    ],
    [
      "! the server restarts: come back in 2 s",
      { action: "reconnect", after_ms: 1001 },
    ],
    [
      null,
      { action: "message_sent", room: "r", seq: 1, epoch: "e", ts: 0, id: "1" },
    ],
    [null, { action: "room_left", room: "r" }],
    [null, { action: "members_changed", room: "r", count: 1 }],
    [null, { action: "typing", room: "r", user: "u", from: "n", active: true }],
  ])("is %j for %j", (line, other) => {
    expect(text.encode(other)).toBe(line);
  });

  test("answers /help with every command", () => {
    const help = text.encode({ action: "pong" }) as string;
    for (const command of ["/join ROOM", "/who", "/help", "//x"])
      expect(help).toContain(command);
  });
});

describe("a reply", () => {
  const joined = {
    action: "room_joined",
    room: "general",
    epoch: "e",
    seq: 9,
    recovered: false,
    more: false,
    count: 2,
  } as const;

  test("to a join that was typed names the room", () => {
    const [join] = receive("old", "/join general") as { ref: number }[];
    expect(text.encodeReply({ ...joined, ref: join!.ref }, null)).toBe(
      "You are in general. There are 2 users in this room.",
    );
  });

  test("to the join at connecting, or with history, is not shown", () => {
    expect(text.encodeReply(joined, null)).toBeNull();
    expect(
      text.encodeReply(
        { action: "history", room: "r", epoch: "e", more: false, ref: 1 },
        null,
      ),
    ).toBeNull();
    expect(text.joinMessages(["[A]: x"])).toBeNull();
  });
});

test("names that pass the server's check are shown as they are, but for brackets", () => {
  fc.assert(
    fc.property(anyName, (name) => {
      fc.pre(!nameProblem(name, MAX_ROOM_BYTES) && !/[[\]]/.test(name));
      expect(text.encode(message(name, ""))).toBe(`[${name}]: `);
    }),
  );
});
