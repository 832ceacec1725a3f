import { expect } from "bun:test";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");

/** Only ends what hangs, so that it can be told how far it came. */
const MAX_MS = 300_000;

/** A suite in a process of its own, which is told by its environment what servers to start. */
export class SuiteRun {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #ended: Promise<{ code: number; said: string }>;

  /** @param leftOut parts of the names of tests that are not run */
  constructor(
    suite: string,
    env: Record<string, string>,
    leftOut: readonly string[] = [],
  ) {
    const escaped = leftOut.map((name) => name.replace(/[.()]/g, "\\$&"));
    const filter =
      leftOut.length > 0 ? ["-t", `^(?!.*(${escaped.join("|")}))`] : [];
    this.#child = Bun.spawn([process.execPath, "test", suite, ...filter], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const { stdout, stderr, exited } = this.#child;
    const timer = setTimeout(() => this.kill(), MAX_MS);
    void exited.then(() => clearTimeout(timer));
    this.#ended = Promise.all([stdout.text(), stderr.text(), exited]).then(
      ([out, err, code]) => ({ code, said: `${out}\n${err}` }),
    );
  }

  /** Resolves when it has ended well, with at least one test. */
  async passes(): Promise<void> {
    const { code, said } = await this.#ended;
    // With what passed: where it hung, the last of it tells.
    expect(code, said).toBe(0);
    expect(said).toMatch(/^ *[1-9]\d* pass$/m);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
