/** The thread of `Metronome`: sleeps until the time asked for, posts one message, waits for the next request. */
declare const self: Worker;

interface Setup {
  state: SharedArrayBuffer;
  next: SharedArrayBuffer;
  min_period_ms: number;
}

const now = (): number => performance.timeOrigin + performance.now();
/** Nobody notifies this one: waiting on it is sleeping. */
const pillow = new Int32Array(new SharedArrayBuffer(4));

self.onmessage = (event: MessageEvent<Setup>) => {
  const state = new Int32Array(event.data.state);
  const next = new Float64Array(event.data.next);
  let last = 0;
  postMessage("ready");
  for (;;) {
    Atomics.wait(state, 0, 1);
    const delay = Math.max(next[0]!, last + event.data.min_period_ms) - now();
    if (delay > 0) Atomics.wait(pillow, 0, 0, delay);
    last = now();
    Atomics.store(state, 0, 1);
    postMessage("wake");
  }
};
