/** Samples of a scrape, by `name{labels}` as they are written. */
export type Samples = ReadonlyMap<string, number>;

const LINE = /^([a-zA-Z_:][\w:]*(?:\{[^}\n]*\})?) (\S+)$/;

/**
 * Asks a server for its metrics.
 * @throws Error a line is not of Prometheus's text format
 */
export async function scrape(http: string): Promise<Samples> {
  const response = await fetch(`${http}/metrics`);
  if (response.status !== 200)
    throw new Error(
      `/metrics was answered ${response.status} ${await response.text()}`,
    );
  const samples = new Map<string, number>();
  for (const line of (await response.text()).split("\n")) {
    if (line === "" || /^# (HELP|TYPE) roomcast_\w+ \S/.test(line)) continue;
    const [, name, value] = LINE.exec(line) ?? [];
    if (name === undefined) throw new Error(`no line of metrics: ${line}`);
    samples.set(name, value === "+Inf" ? Infinity : Number(value));
  }
  return samples;
}

/** One that is there. @param name without `roomcast_` */
export function sample(samples: Samples, name: string): number {
  const value = samples.get(`roomcast_${name}`);
  if (value === undefined) throw new Error(`there is no roomcast_${name}`);
  return value;
}

/** Scrapes until a sample is as wanted: some things are counted a moment later. */
export async function sampleWhen(
  http: string,
  name: string,
  wanted: (value: number) => boolean,
): Promise<Samples> {
  for (;;) {
    const samples = await scrape(http);
    if (wanted(sample(samples, name))) return samples;
  }
}
