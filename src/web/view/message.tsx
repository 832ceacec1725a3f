import type { Chat } from "../state/chat.ts";
import type { Outgoing, RoomState } from "../state/room.ts";
import type { Message } from "../state/timeline.ts";
import { findLinks } from "../text/links.ts";
import { clockTime, dayName, fullTime } from "../text/time.ts";
import { Avatar } from "./avatar.tsx";
import { WarningIcon } from "./icons.tsx";

interface MessageProps {
  readonly message: Message;
  /** Whether it shows who wrote it. */
  readonly head: boolean;
  readonly mine: boolean;
}

export function MessageRow({ message, head, mine }: MessageProps) {
  const { user, from, ts, text, fate } = message;
  return (
    <article class={`message${head ? " head" : ""}${mine ? " mine" : ""}`}>
      <Byline user={user} from={from} ts={ts} head={head} />
      {fate ? <p class="text gone">Message deleted</p> : <Text text={text} />}
    </article>
  );
}

interface BylineProps {
  readonly user: string;
  readonly from: string;
  readonly ts: number;
  readonly head: boolean;
}

function Byline({ user, from, ts, head }: BylineProps) {
  const time = (
    <time dateTime={new Date(ts).toISOString()} title={fullTime(ts)}>
      {clockTime(ts)}
    </time>
  );
  if (!head)
    return (
      <span class="gutter">
        <span class="unseen">
          <bdi>{from}</bdi>,{" "}
        </span>
        {time}
      </span>
    );
  return (
    <>
      <Avatar user={user} name={from} />
      <header class="byline">
        <bdi class="author">{from}</bdi> {time}
      </header>
    </>
  );
}

/** One to three pictures and nothing else. */
const PICTURES =
  /^(?:\p{RI}\p{RI}|\p{Emoji}(?:\p{EMod}|\uFE0F\u20E3?)?(?:\u200D\p{Emoji}(?:\p{EMod}|\uFE0F)?)*){1,3}$/u;

/** Always text: never anything that a message could turn into elements of its own, but links. */
function Text({ text }: { text: string }) {
  const large =
    text.length <= 40 && PICTURES.test(text) && !/^[\d#*]+$/.test(text);
  return (
    <div class={large ? "text large" : "text"} dir="auto">
      {findLinks(text).map((part) =>
        typeof part === "string" ? (
          part
        ) : (
          <a
            href={part.href}
            title={part.href}
            target="_blank"
            rel="noopener noreferrer nofollow"
            dir="ltr"
          >
            {part.text}
          </a>
        ),
      )}
    </div>
  );
}

export function DayLine({ ts, now }: { ts: number; now: number }) {
  return (
    <div class="day" role="separator">
      <span>{dayName(ts, now)}</span>
    </div>
  );
}

export function NewLine() {
  return (
    <div class="day new" role="separator">
      <span>New</span>
    </div>
  );
}

interface OutgoingProps {
  readonly chat: Chat;
  readonly room: RoomState;
  readonly outgoing: Outgoing;
  readonly head: boolean;
}

export function OutgoingRow({ chat, room, outgoing, head }: OutgoingProps) {
  const { id, text, ts, state, problem } = outgoing;
  const { user } = chat;
  return (
    <article class={`message mine ${state}${head ? " head" : ""}`}>
      <Byline
        user={user?.id ?? ""}
        from={user?.name ?? "You"}
        ts={ts}
        head={head}
      />
      <Text text={text} />
      {state === "pending" && <p class="fate">Sending…</p>}
      {state === "failed" && (
        <p class="fate" role="alert">
          <WarningIcon />
          <span>Not sent. {problem}</span>
          <button
            type="button"
            class="small"
            onClick={() => chat.retry(room, id)}
          >
            Try again
          </button>
          <button
            type="button"
            class="small"
            onClick={() => chat.discard(room, id)}
          >
            Delete
          </button>
        </p>
      )}
    </article>
  );
}
