import { cannotListen } from "../gateway/serve.ts";

/** A port that this process alone listens on, although its threads share it. */
export interface ClaimedPort {
  readonly port: number;
  /** Lets go of it. */
  release(): void;
}

/**
 * Makes sure that nobody else has a port, since threads would share it silently, with any other server of the same user
 * that does so.
 *
 * A listen without `reusePort` fails where anybody listens. It must be over before the threads can listen; so that two
 * servers that start at the same time do not both find the port free, each first takes the port's name among the abstract
 * sockets, which, like the port, is the machine's and goes with the process.
 * @param port 0 picks one
 * @throws Error it is taken
 */
export function claimPort(host: string, port: number): ClaimedPort {
  const found = port === 0 ? probe(host, 0) : port;
  let name: { stop(force?: boolean): void };
  try {
    name = Bun.listen({
      unix: `\0roomcast ${host} ${found}`,
      socket: { data() {} },
    });
  } catch {
    throw cannotListen(
      { host, port },
      new Error(`port ${found} is in use by another roomcast`),
    );
  }
  try {
    if (port !== 0) probe(host, port);
  } catch (error) {
    name.stop(true);
    throw error;
  }
  return { port: found, release: () => name.stop(true) };
}

/** @returns the port */
function probe(host: string, port: number): number {
  try {
    const server = Bun.serve({
      hostname: host,
      port,
      fetch: () => new Response(null, { status: 503 }),
    });
    const found = server.port!;
    void server.stop(true);
    return found;
  } catch (error) {
    throw cannotListen({ host, port }, error);
  }
}
