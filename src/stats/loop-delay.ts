import type { Histogram } from "./histogram.ts";

const SAMPLE_MS = 50;

/** Measures how late this thread's event loop is, until the process ends or the timer is cleared. */
export function measureLoopDelay(delayUs: Histogram): Timer {
  let due = performance.now() + SAMPLE_MS;
  const timer = setInterval(() => {
    const now = performance.now();
    delayUs.record(Math.max(0, now - due) * 1000);
    // From now, not from when it was due: what one stall delays is counted once.
    due = now + SAMPLE_MS;
  }, SAMPLE_MS);
  timer.unref();
  return timer;
}
