import { ConfigError } from "../config/load.ts";

/**
 * Which pages may connect. A browser tells where the page is from in `Origin`, and no script can change that; a request
 * without it is not from a page, and can say whatever it wants anyway.
 */
export class Origins {
  readonly #exact = new Set<string>();
  /** What comes before the asterisk, and after it. */
  readonly #wild: { readonly start: string; readonly end: string }[] = [];

  /**
   * @param list such as `https://chat.example.com,https://*.example.com`; empty: any
   * @throws ConfigError
   */
  constructor(list: string) {
    for (const item of list.split(",").map((part) => part.trim())) {
      if (item === "") continue;
      const wild = /^(https?:\/\/)\*(\..+)$/.exec(item);
      const url = wild ? `${wild[1]}x${wild[2]}` : item;
      // What is not as a browser writes it (a path, upper case, a default port) would never match.
      if (
        !/^https?:\/\/[^*]+$/.test(url) ||
        !URL.canParse(url) ||
        new URL(url).origin !== url
      )
        throw new ConfigError(
          `--allowed-origins: ${JSON.stringify(item)} is not allowed; allowed is such as https://chat.example.com or https://*.example.com`,
        );
      if (wild) this.#wild.push({ start: wild[1]!, end: wild[2]! });
      else this.#exact.add(item);
    }
  }

  /** @param origin the header, null where there is none */
  allows(origin: string | null): boolean {
    if (origin === null || this.#exact.size + this.#wild.length === 0)
      return true;
    return (
      this.#exact.has(origin) ||
      this.#wild.some(
        ({ start, end }) =>
          origin.startsWith(start) &&
          origin.endsWith(end) &&
          // Labels of a host, and nothing that would make what comes after them something else than its end.
          /^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(
            origin.slice(start.length, -end.length),
          ),
      )
    );
  }
}
