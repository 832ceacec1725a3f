/**
 * Where a server's chat is.
 * @param given `http(s)` or `ws(s)`; without a path it is `/chat`
 * @throws TypeError for what is no such URL
 */
export function chatUrl(given: string): URL {
  const url = new URL(given, (globalThis as any).location?.href);
  url.protocol = url.protocol.replace("http", "ws");
  if (!/^wss?:$/.test(url.protocol))
    throw new TypeError(`no server URL: ${given}`);
  if (url.pathname === "/") url.pathname = "/chat";
  url.hash = "";
  return url;
}
