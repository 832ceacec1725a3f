/** Below those that the system gives away: a connection must not take one between its finding and its use. */
const LOWEST_PORT = 20_000;
const HIGHEST_PORT = 32_000;
const found = new Set<number>();

/** A port that nobody listens on, and that was not found before. */
export function freePort(): number {
  for (;;) {
    const port =
      LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT));
    if (found.has(port)) continue;
    found.add(port);
    try {
      Bun.listen({
        hostname: "127.0.0.1",
        port,
        socket: { data() {} },
      }).stop(true);
      return port;
    } catch {
      // Somebody listens there.
    }
  }
}
