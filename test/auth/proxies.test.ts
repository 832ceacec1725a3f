import { describe, expect, test } from "bun:test";
import { Proxies, countedAs } from "../../src/auth/proxies.ts";

const proxies = new Proxies("127.0.0.1, 10.0.0.0/8,fd00::/8");

describe("the client's address", () => {
  test.each([
    ["of a connection that says nothing", "10.0.0.1", null, "10.0.0.1"],
    ["behind a proxy", "10.0.0.1", "192.0.2.7", "192.0.2.7"],
    ["behind two", "10.0.0.1", "192.0.2.7, 10.9.9.9", "192.0.2.7"],
    [
      "is the last that is not trusted, whatever the client wrote before it",
      "10.0.0.1",
      "1.1.1.1, 10.0.0.5, 192.0.2.7, 10.9.9.9",
      "192.0.2.7",
    ],
    ["of somebody not trusted", "192.0.2.9", "1.1.1.1", "192.0.2.9"],
    ["of a trusted one alone", "10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"],
    ["beside nonsense", "10.0.0.1", "192.0.2.7, nonsense", "10.0.0.1"],
    ["before nonsense", "10.0.0.1", "nonsense, 10.0.0.4", "10.0.0.4"],
    ["where the header is empty", "10.0.0.1", "", "10.0.0.1"],
    ["with a port", "10.0.0.1", "192.0.2.7:4711", "192.0.2.7"],
    ["of IPv6", "fd00::1", "2001:db8::7", "2001:db8::7"],
    ["of IPv6 with a port", "fd00::1", "[2001:db8::7]:4711", "2001:db8::7"],
    ["of IPv4 as IPv6", "::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"],
    ["forwarded as IPv6", "10.0.0.1", "::ffff:192.0.2.7", "192.0.2.7"],
    [
      "however long the header is",
      "10.0.0.1",
      `1.1.1.1,${"10.0.0.9,".repeat(5000)}10.0.0.8`,
      "10.0.0.9",
    ],
  ])("%s", (_, peer, header, client) => {
    expect(proxies.clientOf(peer, header)).toBe(client);
  });

  test("is the connection's where no proxy is trusted", () => {
    expect(new Proxies("").clientOf("127.0.0.1", "1.1.1.1")).toBe("127.0.0.1");
  });

  test.each([
    "nonsense",
    "10.0.0.0/33",
    "fd00::/129",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0.0/-1",
    "localhost",
  ])("cannot be trusted to %p", (list) => {
    expect(() => new Proxies(list)).toThrow("--trusted-proxies");
  });
});

test("a network of IPv6 counts as one client, an address of IPv4 too", () => {
  expect(countedAs("192.0.2.7")).toBe("192.0.2.7");
  const network = "2001:db8:0:1::/64";
  for (const address of [
    "2001:db8:0:1::",
    "2001:db8:0:1::1",
    "2001:0DB8:0000:0001:ffff:ffff:ffff:ffff",
    "2001:db8:0:1:a:b:c:d",
  ])
    expect(countedAs(address)).toBe(network);
  expect(countedAs("2001:db8::1")).toBe("2001:db8:0:0::/64");
  expect(countedAs("::1")).toBe("0:0:0:0::/64");
  expect(countedAs("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
});
