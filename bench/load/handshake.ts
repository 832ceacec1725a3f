import { createHash } from "node:crypto";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const HEAD_END = Buffer.from("\r\n\r\n");
const MAX_HEAD_BYTES = 16 * 1024;

export interface UpgradeTarget {
  /** Host and port as the server should see them. */
  host: string;
  /** Path with query. */
  path: string;
  protocol?: string;
}

/** The upgrade request, and the `Sec-WebSocket-Accept` that its answer must carry. Offers no compression. */
export function upgradeRequest(target: UpgradeTarget): {
  head: string;
  accept: string;
} {
  const key = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString(
    "base64",
  );
  const protocol =
    target.protocol === undefined
      ? ""
      : `Sec-WebSocket-Protocol: ${target.protocol}\r\n`;
  return {
    head:
      `GET ${target.path} HTTP/1.1\r\nHost: ${target.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${protocol}\r\n`,
    accept: createHash("sha1")
      .update(key + GUID)
      .digest("base64"),
  };
}

/**
 * Reads the answer. Gives null while the head is unfinished, else the bytes after it (the first frames may have come
 * along). Throws an Error that names what was wrong.
 */
export function upgradeAnswer(received: Buffer, accept: string): Buffer | null {
  const end = received.indexOf(HEAD_END);
  if (end < 0) {
    if (received.length > MAX_HEAD_BYTES)
      throw new Error("endless handshake answer");
    return null;
  }
  const head = received.toString("latin1", 0, end);
  const status = head.slice(
    0,
    head.indexOf("\r\n") < 0 ? head.length : head.indexOf("\r\n"),
  );
  if (!/^HTTP\/1\.1 101\b/.test(status)) {
    const body = received.toString("utf8", end + 4, end + 204);
    throw new Error(
      `handshake refused: ${status}${body === "" ? "" : `: ${body}`}`,
    );
  }
  const got = /^sec-websocket-accept:[ \t]*(\S+)/im.exec(head)?.[1];
  if (got !== accept)
    throw new Error("handshake answer with a wrong Sec-WebSocket-Accept");
  return received.subarray(end + 4);
}
