/** Ports of one destination address run out at about 28,000; eight addresses also outlast runs in quick succession. */
const DEFAULT_ADDRESSES = 8;

/**
 * The addresses to connect to: 127.0.0.1 to 127.0.0.N where the host is this machine's loopback and the server
 * listens on all of them, else the hostname alone. Throws an Error if an address that was asked for is refused.
 */
export async function spreadAddresses(
  url: string,
  wanted: number | undefined,
): Promise<string[]> {
  const { hostname, port: given, protocol } = new URL(url);
  const port = Number(given) || (protocol === "wss:" ? 443 : 80);
  if (hostname !== "127.0.0.1" && hostname !== "localhost") return [hostname];
  const addresses = Array.from(
    { length: wanted ?? DEFAULT_ADDRESSES },
    (_, i) => `127.0.0.${i + 1}`,
  );
  if (addresses.length < 2) return [hostname];
  if (await answers(addresses.at(-1)!, port)) return addresses;
  if (wanted !== undefined)
    throw new Error(
      `the server does not listen on ${addresses.at(-1)}; try --addresses 1`,
    );
  return [hostname];
}

async function answers(hostname: string, port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname, port, socket: { data() {} } });
    socket.terminate();
    return true;
  } catch {
    return false;
  }
}
