import { BlockList, isIP } from "node:net";
import { ConfigError } from "../config/load.ts";

/** Addresses of `X-Forwarded-For` that are looked at, from the right; more proxies than these stand in no row. */
const MAX_HOPS = 16;

/** Tells a client's address where proxies stand before the server. */
export class Proxies {
  readonly #trusted = new BlockList();
  readonly #any: boolean;

  /**
   * @param list addresses and networks, such as `127.0.0.1,10.0.0.0/8`
   * @throws ConfigError
   */
  constructor(list: string) {
    const items = list
      .split(",")
      .map((part) => part.trim())
      .filter(Boolean);
    this.#any = items.length > 0;
    for (const item of items) this.#trust(item);
  }

  /**
   * The address to count a client by. What somebody says of itself counts for nothing: `X-Forwarded-For` is read from the
   * right, where each address was written by the proxy after it, up to the first that is not trusted.
   * @param peer who the connection is from
   * @param forwardedFor the header
   */
  clientOf(peer: string, forwardedFor: string | null): string {
    let client = plain(peer);
    if (!this.#any || forwardedFor === null || !this.#trusts(client))
      return client;
    const hops = forwardedFor.split(",").slice(-MAX_HOPS);
    for (const hop of hops.reverse()) {
      const address = plain(withoutPort(hop.trim()));
      if (isIP(address) === 0) break;
      client = address;
      if (!this.#trusts(client)) break;
    }
    return client;
  }

  #trusts(address: string): boolean {
    const version = isIP(address);
    return (
      version !== 0 &&
      this.#trusted.check(address, version === 4 ? "ipv4" : "ipv6")
    );
  }

  #trust(item: string): void {
    const [address, prefix, more] = item.split("/");
    const version = isIP(address!);
    const family = version === 4 ? "ipv4" : "ipv6";
    const bits = prefix === undefined ? undefined : Number(prefix);
    if (
      version === 0 ||
      more !== undefined ||
      (prefix !== undefined && !/^\d{1,3}$/.test(prefix)) ||
      (bits ?? 0) > (version === 4 ? 32 : 128)
    )
      throw new ConfigError(
        `--trusted-proxies: ${JSON.stringify(item)} is not allowed; allowed is such as 127.0.0.1 or 10.0.0.0/8`,
      );
    if (bits === undefined) this.#trusted.addAddress(address!, family);
    else this.#trusted.addSubnet(address!, bits, family);
  }
}

/** An IPv4 address as such, also where a socket of both families tells it as one of IPv6. */
function plain(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  return mapped ? mapped[1]! : address;
}

/** Some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  return (
    /^\[(.+)\](:\d+)?$/.exec(hop)?.[1] ??
    /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(hop)?.[1] ??
    hop
  );
}

/**
 * What is counted as one client: an IPv4 address, or a /64 network of IPv6, of which everybody has a whole one.
 * @returns the address, or such as `2001:db8:0:1::/64`
 */
export function countedAs(address: string): string {
  if (!address.includes(":")) return address;
  const [head, tail] = address.split("::");
  const left = head ? head.split(":") : [];
  const right = tail ? tail.split(":") : [];
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [
    ...left,
    ...Array<string>(Math.max(0, zeros)).fill("0"),
    ...right,
  ];
  const network = groups
    .slice(0, 4)
    .map((group) => parseInt(group, 16).toString(16));
  return `${network.join(":")}::/64`;
}
