import { useEffect, useState } from "preact/hooks";
import type { Chat } from "../state/chat.ts";
import { isolate } from "../text/people.ts";

const COLLECT_MS = 800;
const MAX_READ = 3;
const MAX_CHARS = 300;

/** Reads new messages of the others to screen readers; where many come together, only how many. */
export function Announcer({ chat }: { chat: Chat }) {
  const [lines, setLines] = useState<readonly string[]>([]);
  useEffect(() => {
    let collected: string[] = [];
    let count = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    chat.onLive = ({ from, text }) => {
      if (++count <= MAX_READ)
        collected.push(`${isolate(from)}: ${text.slice(0, MAX_CHARS)}`);
      timer ??= setTimeout(() => {
        setLines(count <= MAX_READ ? collected : [`${count} new messages`]);
        collected = [];
        count = 0;
        timer = undefined;
      }, COLLECT_MS);
    };
    return () => {
      clearTimeout(timer);
      chat.onLive = () => {};
    };
  }, [chat]);
  return (
    <div class="unseen" aria-live="polite" aria-atomic="true">
      {lines.map((line) => (
        <p key={line}>{line}</p>
      ))}
    </div>
  );
}
