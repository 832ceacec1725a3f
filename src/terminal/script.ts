import type { RoomcastClient, Room } from "../client/index.ts";
import { harmless } from "./line.ts";
import { firstConnection } from "./connecting.ts";
import type { ChatOptions } from "./options.ts";

/** Lines on their way at a time: the rest waits in the pipe. */
const MAX_UNDER_WAY = 200;

/**
 * Sends each line, in order, and waits for the last ack.
 * @returns whether every line was stored
 */
export async function runScript(
  client: RoomcastClient,
  options: ChatOptions,
  /** Begins to read: not before there is somebody to send to, or what comes meanwhile would be lost. */
  read: () => AsyncIterable<string>,
  fail: (message: string) => void,
): Promise<boolean> {
  let room: Room;
  try {
    await firstConnection(client, options.timeout * 1000);
    room = await client.join(options.room);
  } catch (error) {
    fail(`nothing was sent: ${(error as Error).message}`);
    return false;
  }
  let stored = true;
  let number = 0;
  const underWay = new Set<Promise<void>>();
  for await (const line of read()) {
    number++;
    if (line.trim() === "") continue;
    const place = number;
    const sent = room.send(line).then(
      () => {
        underWay.delete(sent);
      },
      (error: Error) => {
        underWay.delete(sent);
        stored = false;
        fail(
          `line ${place} was not stored: ${harmless(error.message)}: ${harmless(line.slice(0, 40))}`,
        );
      },
    );
    underWay.add(sent);
    if (underWay.size >= MAX_UNDER_WAY) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  return stored;
}
