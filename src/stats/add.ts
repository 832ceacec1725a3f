/** Adds what other stats of the same kind counted, whatever they count: numbers in objects and arrays. */
export function addStats<Stats extends object>(into: Stats, from: Stats): void {
  const sums = into as Record<string, unknown>;
  for (const [key, value] of Object.entries(from)) {
    if (typeof value === "number")
      sums[key] = ((sums[key] as number | undefined) ?? 0) + value;
    else addStats(sums[key] as object, value as object);
  }
}
