import { Generator } from "./generator.ts";
import type { FromGenerator, ToGenerator } from "./messages.ts";

/** The entry of a generator process: obeys the coordinator that started it. */
function serve(): void {
  const tell = (message: FromGenerator): void => {
    process.send!(message);
  };
  let generator: Generator | null = null;
  const obey = async (message: ToGenerator): Promise<void> => {
    if (message.type === "plan") {
      generator = new Generator(message.plan, message.process, tell);
      await generator.ready;
      tell({ type: "ready" });
    } else if (message.type === "connect")
      await generator!.connect(message.round, message.rounds);
    else if (message.type === "start")
      await generator!.start(
        message.start_us,
        message.measure_us,
        message.end_us,
      );
    else if (message.type === "drain") await generator!.drain(message.sent);
    else {
      generator?.quit();
      process.exit(0);
    }
  };
  process.on("message", (message: ToGenerator) => {
    obey(message).catch((error: Error) =>
      tell({ type: "failed", message: error.stack ?? error.message }),
    );
  });
  // Without its coordinator it would run on for ever.
  process.on("disconnect", () => process.exit(1));
}

serve();
