import pino, { type Logger as PinoLogger } from "pino";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Lines for whoever runs the server. Fields are told apart from the message, and hold no secret: nothing redacts them. */
export type Logger = PinoLogger;

/** Where lines go. */
export interface LogSink {
  /** @param line JSON and a line end */
  write(line: string): void;
}

/** What ends a line, or steers a terminal, and JSON may hold as it is. */
const UNESCAPED = /[\u007f-\u009f\u2028\u2029]/g;

const escape = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** One object a line, as JSON in which nothing but its end is a line end for anybody. */
export function createLogger(level: LogLevel, sink: LogSink): Logger {
  return pino(
    {
      level,
      // Neither process id nor host name: whoever collects lines knows where they come from.
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // The default also tells whatever properties an error has.
      serializers: { err: errorFields },
    },
    { write: (line: string) => sink.write(line.replace(UNESCAPED, escape)) },
  );
}

function errorFields(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack } = error;
  return { name, message, stack };
}
