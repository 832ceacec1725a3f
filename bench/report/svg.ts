/** The little that the plots share: escaping, scales, axes. Sizes are in SVG units, one being a CSS pixel at full width. */
export const WIDTH = 760;

export const escape = (text: string): string =>
  text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);

export type Scale = (value: number) => number;

/** Maps [from, to] to [at, until], by logarithm; what lies outside is moved to the ends. */
export function logScale(
  from: number,
  to: number,
  at: number,
  until: number,
): Scale {
  const low = Math.log(from);
  const range = Math.log(to) - low;
  return (value) => {
    const share = (Math.log(Math.max(value, from)) - low) / range;
    return at + Math.min(1, share) * (until - at);
  };
}

export function linearScale(to: number, at: number, until: number): Scale {
  return (value) => at + (value / to) * (until - at);
}

/** 1, 2 and 5 times powers of ten that lie in [from, to]; the powers alone where that is enough. */
export function logTicks(from: number, to: number): number[] {
  const steps = Math.log10(to / from) > 2.5 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = -3; power < 10; power++)
    for (const step of steps) {
      const value = step * 10 ** power;
      if (value >= from * 0.999 && value <= to * 1.001) ticks.push(value);
    }
  return ticks;
}

/** Round numbers from 0 to `to`, about five. */
export function linearTicks(to: number): number[] {
  const rough = to / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough)!;
  const ticks: number[] = [];
  for (let value = 0; value <= to * 1.001; value += step) ticks.push(value);
  return ticks;
}

export const line = (
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  cls: string,
): string =>
  `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" class="${cls}"/>`;

export const label = (
  x: number,
  y: number,
  text: string,
  cls: string,
): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${cls}">${escape(text)}</text>`;

export function figure(
  title: string,
  about: string,
  height: number,
  body: string,
): string {
  return (
    `<figure><figcaption><h3>${escape(title)}</h3><p>${escape(about)}</p></figcaption>` +
    `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}">${body}</svg></figure>`
  );
}

/** Labels beside line ends, moved apart so that none covers another; `y` is changed in place. */
export function spreadApart(labels: { y: number }[], gap: number): void {
  labels.sort((a, b) => a.y - b.y);
  for (let i = 1; i < labels.length; i++)
    labels[i]!.y = Math.max(labels[i]!.y, labels[i - 1]!.y + gap);
}

/** 20000 as "20k", 1500000 as "1.5M". */
export function short(value: number): string {
  if (value >= 1e6) return `${+(value / 1e6).toFixed(2)}M`;
  if (value >= 1e3) return `${+(value / 1e3).toFixed(1)}k`;
  return String(+value.toFixed(3));
}

/** Milliseconds for an axis: "0.1 ms", "2 s". */
export const shortMs = (value: number): string =>
  value >= 1000 ? `${+(value / 1000).toFixed(1)} s` : `${+value.toFixed(3)} ms`;
