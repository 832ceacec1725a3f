import fc from "fast-check";
import type { ReceiveMessage } from "../../src/protocol/messages.ts";

/** Any character there is, control characters among them, but no lone surrogate. */
export const anyCharacter = fc
  .oneof(
    fc.integer({ min: 0, max: 0xff }),
    fc.integer({ min: 0x100, max: 0xd7ff }),
    fc.integer({ min: 0xe000, max: 0x10ffff }),
  )
  .map((codePoint) => String.fromCodePoint(codePoint));

export const anyText = fc.string({ unit: anyCharacter, maxLength: 60 });

/** Names as the server lets them pass. */
export const anyName = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 12 })
  .filter((name) => name !== "." && name !== "..");

/** What JSON can hold, with keys that every format takes. */
export const jsonValue = (maxDepth = 5): fc.Arbitrary<unknown> =>
  fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth },
      fc.oneof(
        fc.constant(null),
        fc.boolean(),
        fc.integer(),
        fc.maxSafeInteger(),
        // Neither JSON nor the MessagePack library keeps the sign of -0.
        fc
          .double({ noNaN: true, noDefaultInfinity: true })
          .map((number) => (number === 0 ? 0 : number)),
        anyText,
      ),
      fc.array(tie("value"), { maxLength: 20 }),
      fc.dictionary(
        anyText.filter((key) => key !== "__proto__"),
        tie("value"),
        { maxKeys: 20, noNullPrototype: true },
      ),
    ),
  })).value;

export const anyEvent: fc.Arbitrary<ReceiveMessage> = fc.record(
  {
    action: fc.constant("receive_message" as const),
    room: anyName,
    seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    prev: fc.nat(),
    from: anyName,
    user: anyName,
    text: anyText,
    ts: fc.maxSafeNat(),
    id: anyName,
    data: fc.dictionary(
      anyText.filter((key) => key !== "__proto__"),
      jsonValue(2),
      { maxKeys: 4, noNullPrototype: true },
    ),
  },
  { requiredKeys: ["action", "room", "seq", "from", "user", "text", "ts"] },
);
