/** `bun run chat`: the chat in a terminal, and for scripts. `--help` says all. */
import { createInterface } from "node:readline";
import { RoomcastClient } from "./client/index.ts";
import { Conversation, type Screen } from "./terminal/conversation.ts";
import { harmless, styleFor } from "./terminal/line.ts";
import {
  HELP,
  parseChatOptions,
  type ChatOptions,
} from "./terminal/options.ts";
import { TerminalScreen } from "./terminal/screen.ts";
import { runScript } from "./terminal/script.ts";

const { stdin, stdout } = process;

/** What a person who leaves waits for acks, at most. */
const PATIENCE_MS = 2000;
/** A person sees that there is no connection, and may wait for one. */
const A_DAY_MS = 86_400_000;

function fail(message: string): void {
  console.error(`chat: ${harmless(message)}`);
}

async function main(): Promise<number> {
  let options: ChatOptions | undefined;
  try {
    options = parseChatOptions(process.argv.slice(2), process.env);
  } catch (error) {
    fail(`${(error as Error).message} (--help lists the options)`);
    return 2;
  }
  if (!options) {
    stdout.write(HELP);
    return 0;
  }
  const { url, name, token, format, timeout } = options;
  const client = new RoomcastClient(url, {
    name,
    token,
    format,
    ...(stdin.isTTY
      ? { requestTimeoutMs: A_DAY_MS }
      : { sendTimeoutMs: timeout * 1000, requestTimeoutMs: timeout * 1000 }),
  });
  const code = stdin.isTTY
    ? await converse(client, options)
    : (await runScript(client, options, stdin, fail))
      ? 0
      : 1;
  await client.close();
  return code;
}

function converse(
  client: RoomcastClient,
  options: ChatOptions,
): Promise<number> {
  const input = createInterface({ input: stdin, output: stdout, prompt: "> " });
  const terminal = stdout.isTTY ? new TerminalScreen(input, stdout) : undefined;
  const screen: Screen = terminal ?? {
    print: (line) => stdout.write(`${line}\n`),
  };
  return new Promise((resolve) => {
    let isOver = false;
    const over = (reason?: string): void => {
      if (isOver) return;
      isOver = true;
      if (terminal) terminal.close();
      else input.close();
      const patience = Promise.withResolvers<void>();
      const timer = setTimeout(patience.resolve, PATIENCE_MS);
      void Promise.race([conversation.settled(), patience.promise]).then(() => {
        clearTimeout(timer);
        if (reason) fail(reason);
        resolve(reason ? 1 : 0);
      });
    };
    const conversation = new Conversation(
      client,
      options,
      styleFor(stdout.isTTY, process.env),
      screen,
      over,
    );
    input.on("line", (line) => {
      terminal?.entered(line);
      conversation.line(line);
      if (!isOver) input.prompt();
    });
    // Ctrl-C and Ctrl-D.
    input.on("SIGINT", () => over());
    input.on("close", () => over());
    if (terminal) input.prompt();
  });
}

// Whoever reads us has gone (`| head`): there is nobody to tell.
stdout.on("error", () => process.exit(0));

process.exit(await main());
