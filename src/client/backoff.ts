/**
 * The delay before an attempt: exponential backoff with full jitter, so that clients which lost the same server do not
 * come back together. Formula: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 *
 * @param attempt failed attempts before, from 0 on
 * @param random 0 <= x < 1
 * @returns ms
 */
export function backoff(
  attempt: number,
  minMs: number,
  maxMs: number,
  random: number,
): number {
  return Math.round(random * Math.min(maxMs, minMs * 2 ** attempt));
}
