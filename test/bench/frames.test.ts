import { expect, test } from "bun:test";
import {
  clientFrame,
  FrameScanner,
  type FrameSink,
  patchDigits,
} from "../../bench/load/frames.ts";

class Recorder implements FrameSink {
  seen: string[] = [];
  message(bytes: Buffer, start: number, end: number): void {
    this.seen.push(
      `message ${end - start}:${bytes.toString("latin1", start, Math.min(end, start + 12))}`,
    );
  }
  ping(payload: Uint8Array): void {
    this.seen.push(`ping ${Buffer.from(payload).toString()}`);
  }
  pong(): void {
    this.seen.push("pong");
  }
  closeFrame(code: number): void {
    this.seen.push(`close ${code}`);
  }
  broken(reason: string): void {
    this.seen.push(`broken ${reason}`);
  }
}

/** An unmasked frame; `first` is the first byte. */
function frame(first: number, text: string): Buffer {
  const body = Buffer.from(text);
  const head =
    body.length < 126
      ? [first, body.length]
      : body.length < 65536
        ? [first, 126, body.length >> 8, body.length & 255]
        : [
            first,
            127,
            0,
            0,
            0,
            0,
            0,
            body.length >> 16,
            (body.length >> 8) & 255,
            body.length & 255,
          ];
  return Buffer.concat([Buffer.from(head), body]);
}

const STREAM = Buffer.concat([
  frame(0x81, "hello"),
  frame(0x89, "p"),
  frame(0x82, "b".repeat(200)),
  frame(0x01, "frag"),
  frame(0x8a, ""),
  frame(0x80, "mented"),
  frame(0x81, "long".repeat(20_000)),
  frame(0x81, ""),
  Buffer.from([0x88, 2, 3, 0xe8]),
]);
const SEEN = [
  "message 5:hello",
  "ping p",
  "message 200:bbbbbbbbbbbb",
  "pong",
  "message 10:fragmented",
  "message 80000:longlonglong",
  "message 0:",
  "close 1000",
];

function scan(chunks: Buffer[]): string[] {
  const recorder = new Recorder();
  const scanner = new FrameScanner();
  for (const chunk of chunks) scanner.push(chunk, recorder);
  return recorder.seen;
}

test("finds coalesced frames in one chunk", () => {
  expect(scan([STREAM])).toEqual(SEEN);
});

test("finds frames split at every place", () => {
  for (let at = 1; at < 600; at++)
    expect(scan([STREAM.subarray(0, at), STREAM.subarray(at)])).toEqual(SEEN);
});

test("finds frames that come in chunks of any size", () => {
  for (const size of [1, 2, 3, 7, 100, 1024, 65_537]) {
    const chunks: Buffer[] = [];
    for (let at = 0; at < STREAM.length; at += size)
      chunks.push(STREAM.subarray(at, at + size));
    expect(scan(chunks)).toEqual(SEEN);
  }
});

test("a masked frame, reserved bits and a stray continuation break the stream, once", () => {
  const masked = Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5]);
  expect(scan([masked, STREAM])).toEqual(["broken masked server frame"]);
  expect(scan([frame(0xc1, "x")])[0]).toStartWith("broken reserved bits");
  expect(scan([frame(0x80, "x")])[0]).toStartWith("broken a message began");
  expect(scan([frame(0x01, "x"), frame(0x81, "y")])).toEqual(["message 1:y"]);
});

test("digits are patched under the mask", () => {
  const sent = clientFrame(1, Buffer.from("n=0000000;"));
  patchDigits(sent, 2, 7, 1_234_567);
  const { bytes, payload_at, mask } = sent;
  const text = bytes.subarray(payload_at).map((byte, i) => byte ^ mask[i & 3]!);
  expect(Buffer.from(text).toString()).toBe("n=1234567;");
  expect(bytes[1]).toBe(0x80 | 10);
});
