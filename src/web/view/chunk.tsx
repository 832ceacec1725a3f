import { Component, createRef } from "preact";
import type { Chunk } from "../state/timeline.ts";
import type { Message } from "../state/timeline.ts";
import { startsDay, startsGroup } from "../text/rows.ts";
import { DayLine, MessageRow, NewLine } from "./message.tsx";

interface Props {
  readonly chunk: Chunk;
  /** The message before its first. */
  readonly before: Message | undefined;
  /** Px that it takes while it is far from the view and not drawn; undefined: it is drawn. */
  readonly height: number | undefined;
  /** The seq after which the line "New" comes, where that is in this chunk. */
  readonly divider: number | undefined;
  readonly me: string | undefined;
  /** The start of today: day names depend on it. */
  readonly today: number;
  readonly observe: (element: Element, chunk: number) => () => void;
}

/** A run of messages, or an empty block of its height. */
export class ChunkView extends Component<Props> {
  readonly #element = createRef<HTMLDivElement>();
  #stop = (): void => {};

  override componentDidMount(): void {
    this.#stop = this.props.observe(
      this.#element.current!,
      this.props.chunk.id,
    );
  }

  override componentWillUnmount(): void {
    this.#stop();
  }

  override shouldComponentUpdate(next: Props): boolean {
    const now = this.props;
    return (
      next.chunk !== now.chunk ||
      next.before !== now.before ||
      next.height !== now.height ||
      next.divider !== now.divider ||
      next.me !== now.me ||
      next.today !== now.today
    );
  }

  override render({ height }: Props) {
    return (
      <div
        ref={this.#element}
        class="chunk"
        style={{ height: height === undefined ? "auto" : `${height}px` }}
      >
        {height === undefined && this.#rows()}
      </div>
    );
  }

  #rows() {
    const { chunk, me, divider, today } = this.props;
    let { before } = this.props;
    return chunk.messages.map((message) => {
      if (message.fate === "notice") return null;
      const previous = before;
      before = message;
      const day = startsDay(previous, message);
      const isNew =
        divider !== undefined &&
        message.seq > divider &&
        (previous === undefined || previous.seq <= divider);
      return [
        day && <DayLine key={`d${message.seq}`} ts={message.ts} now={today} />,
        isNew && <NewLine key={`n${message.seq}`} />,
        <MessageRow
          key={message.seq}
          message={message}
          // In a deleted message's place, nobody knows whose it was.
          head={
            message.user !== "" && (isNew || startsGroup(previous, message))
          }
          mine={message.user === me}
        />,
      ];
    });
  }
}
