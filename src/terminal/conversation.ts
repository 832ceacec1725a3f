import type { RoomcastClient, Room } from "../client/index.ts";
import { onFailedAttempt } from "./connecting.ts";
import { harmless, messageLine, type Style } from "./line.ts";
import type { ChatOptions } from "./options.ts";

/** Where lines go: above what is being typed. */
export interface Screen {
  print(line: string): void;
}

const COMMANDS =
  "/join ROOM goes to another room · /who tells who is here · /quit leaves · //x sends /x";

/** What the client says of a connection that ended without a reason tells a person nothing. */
const because = (reason: string | undefined): string =>
  reason && reason !== "code 1006" ? ` (${reason})` : "";

/** A person's conversation: one room at a time, lines in, lines out. */
export class Conversation {
  #room: Room | undefined;
  /** Joins, one after the other. */
  #joining: Promise<void> = Promise.resolve();
  #wasOpen = false;
  /** The person knows that the connection is gone. */
  #toldLost = false;
  readonly #underWay = new Set<Promise<void>>();

  constructor(
    private readonly client: RoomcastClient,
    private readonly options: ChatOptions,
    private readonly style: Style,
    private readonly screen: Screen,
    /** Called when it is over; with a reason where it was not `/quit`. */
    private readonly over: (reason?: string) => void,
  ) {
    client.on("state", ({ state, reason, retryInMs }) => {
      if (state === "closed") this.over(reason ?? "closed");
      else if (state === "open") {
        if (this.#wasOpen) this.#note("connected again");
        this.#wasOpen = true;
        this.#toldLost = false;
      } else if (retryInMs !== undefined && this.#wasOpen)
        this.#lost(`connection lost${because(reason)}; coming back`);
    });
    onFailedAttempt(client, options, (refused, reason) => {
      if (refused === undefined)
        this.#lost(
          `cannot reach ${options.url}${because(reason)}; trying again`,
        );
      else this.over(`the server refuses: ${refused}`);
    });
    client.on("error", (error) => this.#fail(error.message));
    this.#join(options.room);
  }

  /** Resolves when what was typed is stored or refused. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** What the person typed. */
  line(line: string): void {
    const text = line.trim();
    if (text === "") return;
    if (text.startsWith("/") && !text.startsWith("//")) this.#command(text);
    else this.#send(text.startsWith("//") ? text.slice(1) : text);
  }

  #command(text: string): void {
    const [command, ...rest] = text.split(/\s+/);
    const argument = rest.join(" ");
    switch (command) {
      case "/join":
        if (argument) this.#join(argument);
        else this.#fail("/join needs the name of a room");
        return;
      case "/who":
        void this.#who();
        return;
      case "/help":
        this.#note(COMMANDS);
        return;
      case "/quit":
      case "/exit":
        this.over();
        return;
      default:
        this.#fail(`there is no command ${command!}: ${COMMANDS}`);
    }
  }

  #send(text: string): void {
    const room = this.#room;
    if (!room) return this.#fail("not in a room yet: wait, or /join ROOM");
    // Its line is printed when it comes back, in its place among the others'.
    const sent = room.send(text).then(
      () => {},
      (error: Error) =>
        this.#fail(`not sent (${error.message}): ${text.slice(0, 60)}`),
    );
    this.#underWay.add(sent);
    void sent.then(() => this.#underWay.delete(sent));
  }

  #join(name: string): void {
    this.#joining = this.#joining.then(() => this.#enter(name));
  }

  async #enter(name: string): Promise<void> {
    const before = this.#room;
    if (before?.name === name) return this.#note(`you are in ${name}`);
    let room: Room;
    try {
      room = await this.client.join(name, { history: this.options.history });
    } catch (error) {
      return this.#fail(`cannot join ${name}: ${(error as Error).message}`);
    }
    this.#room = room;
    // Leaving gives up what is on its way there: that first.
    if (before)
      void Promise.all(this.#underWay).then(() =>
        before.leave().catch(() => {}),
      );
    const here = room.count === 1 ? "nobody else" : `${room.count} people`;
    this.#note(`${name}: ${here} here; /help lists the commands`);
    room.on("message", (message) => {
      if (this.#room !== room) return;
      this.screen.print(messageLine(message, this.style, Date.now()));
    });
    room.on("deleted", ({ seq, target }) => {
      if (this.#room !== room) return;
      this.#note(
        seq === target
          ? "a message here was deleted"
          : "a message further up was deleted",
      );
    });
    room.on("members", ({ joined, left }) => {
      if (this.#room !== room) return;
      const me = this.client.user?.id;
      const names = (users: typeof joined): string =>
        (users ?? [])
          .filter(({ id }) => id !== me)
          .map((user) => user.name)
          .join(", ");
      if (names(joined)) this.#note(`${names(joined)} came`);
      if (names(left)) this.#note(`${names(left)} left`);
    });
    room.on("reset", ({ messages }) => {
      this.#note("the server cannot tell what was missed; the latest:");
      for (const message of messages)
        if (message.action === "receive_message")
          this.screen.print(messageLine(message, this.style, Date.now()));
    });
    room.on("left", (error) => {
      // The end of the client is told by its state, where it was not asked for.
      if (error && error.code !== "closed" && this.#room === room) {
        this.#room = undefined;
        this.#fail(`out of ${name}: ${error.message}`);
      }
    });
  }

  async #who(): Promise<void> {
    const room = this.#room;
    if (!room) return this.#fail("not in a room yet");
    try {
      const { count, members } = await room.members();
      const names = members.map(({ name }) => name).join(", ");
      const more = count > members.length ? ", …" : "";
      this.#note(`${count} here: ${names}${more}`);
    } catch (error) {
      this.#fail((error as Error).message);
    }
  }

  /** Once: more attempts may follow. */
  #lost(text: string): void {
    if (!this.#toldLost) this.#note(text);
    this.#toldLost = true;
  }

  #note(text: string): void {
    this.screen.print(this.style.dim(`- ${harmless(text)}`));
  }

  #fail(text: string): void {
    this.screen.print(this.style.failure(`! ${harmless(text)}`));
  }
}
