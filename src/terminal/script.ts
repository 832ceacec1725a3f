import type { RoomcastClient, Room } from "../client/index.ts";
import { firstConnection } from "./connecting.ts";
import { LineSplitter, type ReadLine } from "./line-splitter.ts";
import type { ChatOptions } from "./options.ts";

/** Lines on their way at a time, at most: the rest waits in the pipe. */
const MAX_UNDER_WAY = 200;

/**
 * Sends each line, in order, and waits for the last ack.
 * @returns whether every line was stored
 */
export async function runScript(
  client: RoomcastClient,
  options: ChatOptions,
  input: AsyncIterable<Uint8Array>,
  fail: (message: string) => void,
): Promise<boolean> {
  let room: Room;
  try {
    await firstConnection(client, options);
    room = await client.join(options.room);
  } catch (error) {
    fail(`nothing was sent: ${(error as Error).message}`);
    return false;
  }
  // No more than the server takes in half the time that each may wait for its ack.
  const rate = client.limits?.max_messages_per_second || MAX_UNDER_WAY;
  const most = Math.max(
    1,
    Math.min(MAX_UNDER_WAY, Math.floor((rate * options.timeout) / 2)),
  );
  let stored = true;
  let number = 0;
  const underWay = new Set<Promise<void>>();
  const refused = (place: number, why: string): void => {
    stored = false;
    fail(`line ${place} was not stored: ${why}`);
  };
  for await (const line of linesOf(input)) {
    const place = ++number;
    if ("tooLong" in line) {
      refused(place, `it has ${line.tooLong} bytes`);
      continue;
    }
    const { text } = line;
    if (text.trim() === "") continue;
    const sent = room.send(text).then(
      () => {
        underWay.delete(sent);
      },
      (error: Error) => {
        underWay.delete(sent);
        refused(place, `${error.message}: ${text.slice(0, 40)}`);
      },
    );
    underWay.add(sent);
    if (underWay.size >= most) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  return stored;
}

async function* linesOf(
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<ReadLine> {
  const splitter = new LineSplitter();
  for await (const chunk of input) yield* splitter.push(chunk);
  const last = splitter.end();
  if (last) yield last;
}
