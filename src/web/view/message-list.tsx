import { Component, createRef } from "preact";
import type { Chat } from "../state/chat.ts";
import type { RoomState } from "../state/room.ts";
import type { Message } from "../state/timeline.ts";
import { startsGroup } from "../text/rows.ts";
import { dayOf } from "../text/time.ts";
import { ChunkView } from "./chunk.tsx";
import { StartOfRoom } from "./empty.tsx";
import { DownIcon } from "./icons.tsx";
import { OutgoingRow } from "./message.tsx";
import { ScrollKeeper } from "./scroll-keeper.ts";

interface Props {
  readonly chat: Chat;
  readonly room: RoomState;
}

interface State {
  /** Chunks that are not drawn, with the height they had. */
  readonly far: ReadonlyMap<number, number>;
  readonly away: boolean;
}

/** Px above and below the view in which chunks are drawn. */
const DRAWN_MARGIN = 1_500;
/** Px from an end of what is loaded at which more is asked for. */
const LOAD_MARGIN = 800;

/**
 * The messages of a room. What is far from the view is an empty block of the same height, so the page's size does not grow with the
 * room's; `ScrollKeeper` holds what is read in its place.
 */
export class MessageList extends Component<Props, State> {
  override state: State = { far: new Map(), away: false };
  readonly #scroller = createRef<HTMLDivElement>();
  readonly #content = createRef<HTMLDivElement>();
  readonly #ids = new WeakMap<Element, number>();
  #keeper!: ScrollKeeper;
  #near!: IntersectionObserver;
  #sizes!: ResizeObserver;
  /** Whether a first place was found: at the end, or at the first unread message. */
  #placed = false;
  #written = 0;

  override componentDidMount(): void {
    const root = this.#scroller.current!;
    this.#keeper = new ScrollKeeper(root, this.#content.current!);
    this.#near ??= this.#observer(root);
    this.#sizes = new ResizeObserver(() => this.#settle());
    this.#sizes.observe(root);
    this.#sizes.observe(this.#content.current!);
    this.#written = this.props.room.written;
    this.#settle();
  }

  override componentWillUnmount(): void {
    this.#near.disconnect();
    this.#sizes.disconnect();
  }

  override getSnapshotBeforeUpdate(): null {
    this.#keeper.note();
    return null;
  }

  override componentDidUpdate(): void {
    const { written } = this.props.room;
    if (written !== this.#written) {
      this.#written = written;
      this.#toEnd();
    }
    this.#settle();
  }

  override render({ chat, room }: Props, { far, away }: State) {
    const { timeline, loaded, outgoing } = room;
    const today = dayOf(Date.now());
    let before: Message | undefined;
    return (
      <div class="messages-place">
        <div
          ref={this.#scroller}
          class="messages"
          role="log"
          // New messages are read by the announcer: this log also grows at its start.
          aria-live="off"
          aria-label={`Messages in ${room.name}`}
          aria-busy={loaded === "loading"}
          tabindex={0}
          onScroll={this.#scrolled}
        >
          <div ref={this.#content} class="messages-content">
            {this.#top()}
            {timeline.chunks.map((chunk) => {
              const previous = before;
              before = chunk.messages.at(-1);
              return (
                <ChunkView
                  key={chunk.id}
                  chunk={chunk}
                  before={previous}
                  height={far.get(chunk.id)}
                  divider={
                    room.divider !== undefined &&
                    before!.seq > room.divider &&
                    (previous?.seq ?? 0) <= room.divider
                      ? room.divider
                      : undefined
                  }
                  me={chat.user?.id}
                  today={today}
                  observe={this.#observe}
                />
              );
            })}
            {outgoing.map((o, at) => {
              const said = outgoing.map(({ ts }) => ({
                user: chat.user?.id ?? "",
                from: chat.user?.name ?? "",
                ts,
              }));
              const previous = at > 0 ? said[at - 1] : timeline.last;
              return (
                <OutgoingRow
                  key={o.id}
                  chat={chat}
                  room={room}
                  outgoing={o}
                  head={startsGroup(previous, said[at]!)}
                />
              );
            })}
          </div>
        </div>
        {away && (
          <button type="button" class="to-end" onClick={() => this.#toEnd()}>
            <DownIcon />
            {newCount(room)}
          </button>
        )}
      </div>
    );
  }

  #top() {
    const { chat, room } = this.props;
    if (room.loaded === "failed")
      return (
        <p class="edge">
          <button
            type="button"
            class="small"
            onClick={() => void chat.history.loadLatest(room)}
          >
            Load the messages again
          </button>
        </p>
      );
    if (room.loaded !== "yes")
      return room.timeline.count === 0 ? <Skeleton /> : <p class="edge" />;
    if (!room.timeline.moreBefore) return <StartOfRoom room={room} />;
    return (
      <p class="edge">
        {room.older === "failed" ? (
          <button
            type="button"
            class="small"
            onClick={() => void chat.history.loadOlder(room)}
          >
            Load earlier messages again
          </button>
        ) : (
          <span class="quiet">Loading earlier messages…</span>
        )}
      </p>
    );
  }

  /** After anything that changed sizes: everything back in its place, and more loaded where its end is near. */
  #settle(): void {
    const { room } = this.props;
    if (!this.#placed && room.loaded === "yes") {
      this.#placed = true;
      const line = this.#content.current!.querySelector(".day.new");
      if (line) this.#keeper.bringToTop(line);
    }
    this.#keeper.restore();
    this.#look();
  }

  readonly #scrolled = (): void => {
    this.#keeper.scrolled();
    this.#look();
  };

  #look(): void {
    const { chat, room } = this.props;
    if (!this.#placed) return;
    const { atEnd, above, below } = this.#keeper;
    const { timeline } = room;
    chat.setAtEnd(atEnd && !timeline.moreAfter);
    const away = !atEnd || timeline.moreAfter;
    if (away !== this.state.away) this.setState({ away });
    if (above < LOAD_MARGIN && timeline.moreBefore && room.older === "idle")
      void chat.history.loadOlder(room);
    if (below < LOAD_MARGIN && timeline.moreAfter && room.newer === "idle")
      void chat.history.loadNewer(room);
  }

  #toEnd(): void {
    const { chat, room } = this.props;
    this.#keeper.stickToEnd();
    if (room.timeline.moreAfter) void chat.history.loadLatest(room);
    this.#settle();
  }

  readonly #observe = (element: Element, chunk: number): (() => void) => {
    this.#near ??= this.#observer(this.#scroller.current!);
    this.#ids.set(element, chunk);
    this.#near.observe(element);
    return () => {
      this.#near.unobserve(element);
      // Its height is of no use to anybody any more.
      if (this.state.far.has(chunk)) {
        const far = new Map(this.state.far);
        far.delete(chunk);
        this.setState({ far });
      }
    };
  };

  #observer(root: Element): IntersectionObserver {
    return new IntersectionObserver(
      (entries) => {
        const far = new Map(this.state.far);
        for (const { target, isIntersecting, boundingClientRect } of entries) {
          const id = this.#ids.get(target)!;
          if (isIntersecting) far.delete(id);
          else if (!far.has(id)) far.set(id, boundingClientRect.height);
        }
        this.setState({ far });
      },
      { root, rootMargin: `${DRAWN_MARGIN}px 0px` },
    );
  }
}

function newCount({ unread, unreadMore }: RoomState): string {
  if (unread === 0) return "Newest messages";
  if (unread === 1) return "1 new message";
  return `${unread}${unreadMore ? "+" : ""} new messages`;
}

function Skeleton() {
  return (
    <div class="skeleton" aria-hidden="true">
      {[60, 85, 40, 70].map((width) => (
        <div key={width} class="skeleton-row">
          <span class="skeleton-face" />
          <span class="skeleton-lines">
            <i class="skeleton-line short" />
            <i class={`skeleton-line w${width}`} />
          </span>
        </div>
      ))}
    </div>
  );
}
