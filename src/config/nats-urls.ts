/** What `--nats` may be, as errors say it. They never show a value: it may hold a password. */
export const NATS_URLS_ALLOWED =
  "nats:// or tls:// URLs with a host, separated by commas (in a password %, comma, @ and / are written %25, %2C, %40 and %2F)";

/**
 * @param text URLs separated by commas; one without a scheme is `nats://`
 * @returns undefined where one of them is none
 */
export function readNatsUrls(text: string): URL[] | undefined {
  const urls: URL[] = [];
  for (const given of text.split(",").map((one) => one.trim())) {
    const url = URL.parse(given.includes("://") ? given : `nats://${given}`);
    if (
      (url?.protocol !== "nats:" && url?.protocol !== "tls:") ||
      url.hostname === "" ||
      !decodes(url.username) ||
      !decodes(url.password)
    )
      return undefined;
    urls.push(url);
  }
  return urls;
}

function decodes(encoded: string): boolean {
  try {
    decodeURIComponent(encoded);
    return true;
  } catch {
    return false;
  }
}
