import { parseArgs } from "node:util";
import type { ClientFormat } from "../client/index.ts";

export interface ChatOptions {
  readonly url: string;
  readonly room: string;
  /** Undefined: the server gives one. */
  readonly name: string | undefined;
  /** For servers that need one. */
  readonly token: string | undefined;
  readonly format: ClientFormat;
  /** Messages shown on joining. */
  readonly history: number;
  /** Seconds to get a connection, and for each ack, before a script gives up. */
  readonly timeout: number;
}

export const HELP = `bun run chat [options]: talk in a room from a terminal, or from a script

  --url URL              the server (default http://localhost:8080, or the variable ROOMCAST_URL)
  --room ROOM            (default general)
  --name NAME            what the others call you (default: the server gives a name)
  --token TOKEN          for a server that needs one; better the variable ROOMCAST_TOKEN: other users of this machine can
                         see what programs are started with
  --format json|msgpack  how frames are written (default json)
  --history N            messages shown on joining (default 20)
  --timeout SECONDS      for scripts: to connect, and to store a line, at most (default 10)
  --help

On a terminal: type a line and press Enter. /join ROOM, /who, /help, /quit; //x sends /x.

With piped input, each line that is not blank is sent as it is, in order, and nothing is printed; it ends after the last
one is stored:
  echo "deployed" | bun run chat --room ops --name ci
The exit code is 0 when everything was stored, 1 when something was not, 2 for wrong options.
`;

const MAX_HISTORY = 500;
const MAX_TIMEOUT_SECONDS = 3600;

/**
 * @returns undefined where help is asked for
 * @throws Error that names the first wrong option
 */
export function parseChatOptions(
  args: string[],
  env: { readonly [name: string]: string | undefined },
): ChatOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      url: { type: "string" },
      room: { type: "string", default: "general" },
      name: { type: "string" },
      token: { type: "string" },
      format: { type: "string", default: "json" },
      history: { type: "string", default: "20" },
      timeout: { type: "string", default: "10" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const url = values.url || env.ROOMCAST_URL || "http://localhost:8080";
  if (!/^(ws|http)s?:\/\//.test(url) || !URL.canParse(url))
    throw new Error(
      `--url "${url}": allowed is a URL such as http://localhost:8080 or wss://chat.example.org/chat`,
    );
  if (values.format !== "json" && values.format !== "msgpack")
    throw new Error(
      `--format "${values.format}": allowed are json and msgpack`,
    );
  if (values.room === "") throw new Error("--room must not be empty");
  return {
    url,
    room: values.room,
    name: values.name,
    token: values.token || env.ROOMCAST_TOKEN || undefined,
    format: values.format,
    history: wholeNumber("--history", values.history, 0, MAX_HISTORY),
    timeout: wholeNumber("--timeout", values.timeout, 1, MAX_TIMEOUT_SECONDS),
  };
}

/** @throws Error */
function wholeNumber(
  option: string,
  text: string,
  min: number,
  max: number,
): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new Error(
      `${option} "${text}": allowed is a whole number from ${min} to ${max}`,
    );
  return value;
}
