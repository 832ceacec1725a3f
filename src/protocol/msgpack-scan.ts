import { isUtf8 } from "node:buffer";
import { ProtocolError } from "./errors.ts";

const MAX_DEPTH = 64;

/**
 * Walks a MessagePack frame without building anything, and refuses what a decoder would choke on: headers that claim
 * more items than there are bytes, nesting deeper than 64, extension types, strings that are not UTF-8, bytes after the
 * value, map keys that are no strings. What passes allocates at most in proportion to its bytes. Format: the MessagePack specification.
 *
 * @throws ProtocolError bad_frame
 */
export function checkMsgpack(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length;
  let at = 0;
  // Open containers: items still to read in each, and whether it is a map (then an odd number left means a value is next).
  const left: number[] = [];
  const isMap: boolean[] = [];
  let promised = 1;
  do {
    if (promised > end - at)
      fail("it ends early, or a header claims more than it holds");
    const top = left.length - 1;
    const wantsKey = top >= 0 && isMap[top]! && (left[top]! & 1) === 0;
    if (top >= 0) left[top]!--;
    promised--;
    const byte = bytes[at++]!;
    let items = -1;
    let map = false;
    let skip = 0;
    let isString = false;
    let lengthBytes = 0;
    if (byte < 0x80 || byte >= 0xe0) skip = 0;
    else if (byte < 0x90) {
      items = (byte & 0x0f) * 2;
      map = true;
    } else if (byte < 0xa0) items = byte & 0x0f;
    else if (byte < 0xc0) {
      skip = byte & 0x1f;
      isString = true;
    } else {
      switch (byte) {
        case 0xc0:
        case 0xc2:
        case 0xc3:
          break;
        case 0xc4:
        case 0xd9:
          need(1);
          skip = 1 + bytes[at]!;
          isString = byte === 0xd9;
          lengthBytes = 1;
          break;
        case 0xc5:
        case 0xda:
          need(2);
          skip = 2 + view.getUint16(at);
          isString = byte === 0xda;
          lengthBytes = 2;
          break;
        case 0xc6:
        case 0xdb:
          need(4);
          skip = 4 + view.getUint32(at);
          isString = byte === 0xdb;
          lengthBytes = 4;
          break;
        case 0xcc:
        case 0xd0:
          skip = 1;
          break;
        case 0xcd:
        case 0xd1:
          skip = 2;
          break;
        case 0xca:
        case 0xce:
        case 0xd2:
          skip = 4;
          break;
        case 0xcb:
        case 0xcf:
        case 0xd3:
          skip = 8;
          break;
        case 0xdc:
        case 0xde:
          need(2);
          items = view.getUint16(at);
          at += 2;
          break;
        case 0xdd:
        case 0xdf:
          need(4);
          items = view.getUint32(at);
          at += 4;
          break;
        case 0xc1:
          fail("it holds the unused type 0xc1");
          break;
        default:
          fail("extension types are not allowed");
      }
      if (byte === 0xde || byte === 0xdf) {
        items *= 2;
        map = true;
      }
    }
    if (wantsKey && !isString) fail("map keys must be strings");
    if (skip > 0) {
      need(skip);
      if (isString) checkUtf8(bytes, at + lengthBytes, at + skip);
      at += skip;
    }
    if (items > 0) {
      promised += items;
      left.push(items);
      isMap.push(map);
      if (left.length > MAX_DEPTH)
        fail(`it is nested deeper than ${MAX_DEPTH}`);
    }
    while (left.length > 0 && left[left.length - 1] === 0) {
      left.pop();
      isMap.pop();
    }
  } while (left.length > 0);
  if (at !== end) fail("there are bytes after the value");

  function need(count: number): void {
    if (count > end - at) fail("it ends early");
  }
}

/** A decoder would make other text of invalid UTF-8, and nobody would know. */
function checkUtf8(bytes: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i++)
    if (bytes[i]! >= 0x80) {
      if (!isUtf8(bytes.subarray(i, to))) fail("a string is not UTF-8");
      return;
    }
}

function fail(problem: string): never {
  throw new ProtocolError(
    "bad_frame",
    `the frame is not usable MessagePack: ${problem}`,
  );
}
