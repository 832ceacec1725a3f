import { join } from "node:path";

/** A node in a process of its own: to be killed, stopped and continued. */
export class ChildNode implements AsyncDisposable {
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncIterator<string>;

  private constructor(urls: string, prefix: string) {
    this.#process = Bun.spawn(
      [
        process.execPath,
        join(import.meta.dir, "node-process.ts"),
        urls,
        prefix,
      ],
      { stdin: "pipe", stdout: "pipe", stderr: "inherit" },
    );
    this.#lines = lines(this.#process.stdout);
  }

  static async start(urls: string, prefix: string): Promise<ChildNode> {
    const child = new ChildNode(urls, prefix);
    await child.#lines.next();
    return child;
  }

  enter(room: string, id: string): Promise<unknown> {
    return this.#ask("enter", room, id);
  }

  exit(room: string, id: string): Promise<unknown> {
    return this.#ask("exit", room, id);
  }

  /** Ids of a room's users, sorted. */
  async ids(room: string): Promise<string[]> {
    return (await this.#ask("ids", room, "")) as string[];
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.exited;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async #ask(...command: string[]): Promise<unknown> {
    this.#process.stdin.write(`${JSON.stringify(command)}\n`);
    this.#process.stdin.flush();
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the process has ended");
    return JSON.parse(value);
  }
}

async function* lines(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}
