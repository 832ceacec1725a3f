import { readParameter } from "./request.ts";

/** How a route's path is found in what was asked for: the same for who may ask and for who answers. */

/** @param path below `/api/v1`, with `{name}` where anything fits */
export const segmentsOf = (path: string): string[] => path.split("/").slice(1);

const isParameter = (segment: string): boolean => segment.startsWith("{");

/** @param given segments as they were sent */
export function fits(
  segments: readonly string[],
  given: readonly string[],
): boolean {
  return (
    segments.length === given.length &&
    segments.every((part, i) =>
      isParameter(part) ? given[i] !== "" : part === given[i],
    )
  );
}

/** @throws ApiError, ProtocolError */
export function parameters(
  segments: readonly string[],
  given: readonly string[],
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [i, part] of segments.entries()) {
    if (!isParameter(part)) continue;
    const name = part.slice(1, -1);
    found[name] = readParameter(name, given[i]!);
  }
  return found;
}
