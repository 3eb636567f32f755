/**
 * Which time a page is about: in the address by Zipkin's names (`lookback`, `endTs`, `startTs`, `millis`), in questions
 * as `endTs` and `lookback` in milliseconds. Without an end it ends now, whenever that is, so that a reload looks again.
 */

export const LOOKBACK_MS = {
  '1m': 60_000,
  '5m': 300_000,
  '15m': 900_000,
  '30m': 1_800_000,
  '1h': 3_600_000,
  '2h': 7_200_000,
  '3h': 10_800_000,
  '6h': 21_600_000,
  '12h': 43_200_000,
  '1d': 86_400_000,
  '2d': 172_800_000,
  '7d': 604_800_000,
} as const;

export type NamedLookback = keyof typeof LOOKBACK_MS;

export interface TimeRange {
  /** Milliseconds before the end. */
  lookback: number;
  /** Milliseconds since the epoch; `null` is now. */
  endTs: number | null;
}

/** From and to, milliseconds since the epoch. */
export interface Window {
  startTs: number;
  endTs: number;
}

/** What an address says, more leniently than Zipkin's UI: a bare number is milliseconds, nonsense is the default. */
export function timeRangeOf(search: string, defaultLookback: number): TimeRange {
  const parameters = new URLSearchParams(search);
  const endTs = whole(parameters.get('endTs'));
  const startTs = whole(parameters.get('startTs'));
  const lookback = parameters.get('lookback') ?? '';
  const from = startTs ?? whole(parameters.get('startTime'));
  const to = endTs ?? whole(parameters.get('endTime'));
  if ((lookback === 'range' || lookback === '') && from !== null && to !== null && from < to) {
    return { lookback: to - from, endTs: to };
  }
  if (lookback === 'millis') return { lookback: whole(parameters.get('millis')) || defaultLookback, endTs };
  const named = Object.hasOwn(LOOKBACK_MS, lookback) ? LOOKBACK_MS[lookback as NamedLookback] : whole(lookback);
  return { lookback: named || defaultLookback, endTs };
}

function whole(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** The parameters that say a range, for {@link withParameters}; the others of its kind are taken away. */
export function timeRangeParameters(range: TimeRange): Record<string, string | null> {
  const named = Object.entries(LOOKBACK_MS).find(([, ms]) => ms === range.lookback)?.[0];
  return {
    lookback: named ?? 'millis',
    millis: named ? null : String(range.lookback),
    endTs: range.endTs === null ? null : String(range.endTs),
    startTs: null,
    startTime: null,
    endTime: null,
  };
}

/** The range as a window, at a moment. */
export function windowOf(range: TimeRange, now: number): Window {
  const endTs = range.endTs ?? now;
  return { startTs: Math.max(0, endTs - range.lookback), endTs };
}

/** As the API asks for it. */
export function apiWindow(range: TimeRange, now: number): { endTs: string; lookback: string } {
  return { endTs: String(range.endTs ?? now), lookback: String(range.lookback) };
}

/** The range before or after, for the keys that go there; never beyond now, and now again where it would almost be. */
export function shifted(range: TimeRange, direction: -1 | 1, now: number): TimeRange {
  const endTs = (range.endTs ?? now) + direction * range.lookback;
  return { lookback: range.lookback, endTs: endTs >= now - range.lookback / 10 ? null : Math.max(endTs, range.lookback) };
}
