/** The points of the chart of durations by time, which of them is meant, and what a stretch of it asks for. */
import type { TraceSummary } from '../api';
import type { SearchQuery } from './query';

/** A trace that has a time and a duration. */
export interface Point {
  trace: TraceSummary;
  /** Seconds since the epoch. */
  x: number;
  /** Microseconds, at least 1: the scale is logarithmic. */
  y: number;
  failed: boolean;
}

export function pointsOf(traces: readonly TraceSummary[]): Point[] {
  return traces
    .flatMap((trace) => {
      const { timestamp, duration, errorCount } = trace;
      if (timestamp === undefined || duration === undefined) return [];
      return [{ trace, x: timestamp / 1_000_000, y: Math.max(1, duration), failed: errorCount > 0 }];
    })
    .sort((a, b) => a.x - b.x);
}

/** The index of the point that is nearest to a place, within so many pixels; -1 where none is. */
export function nearest(places: readonly { left: number; top: number }[], left: number, top: number, within: number): number {
  let found = -1;
  let least = within * within;
  places.forEach((place, index) => {
    const distance = (place.left - left) ** 2 + (place.top - top) ** 2;
    if (distance <= least) [found, least] = [index, distance];
  });
  return found;
}

/** A stretch of the chart; what is absent was not narrowed. */
export interface Stretch {
  /** Seconds since the epoch. */
  x?: [number, number];
  /** Microseconds. */
  y?: [number, number];
}

/** The query for a stretch: whole milliseconds of time outwards, durations to three digits. */
export function narrowed(query: SearchQuery, { x, y }: Stretch): SearchQuery {
  const time: Partial<SearchQuery> = x
    ? { lookback: 'range', startTs: Math.floor(x[0] * 1000), endTs: Math.max(Math.floor(x[0] * 1000) + 1, Math.ceil(x[1] * 1000)) }
    : {};
  const durations: Partial<SearchQuery> = y
    ? { minDuration: durationText(Math.max(1, y[0]), Math.floor), maxDuration: durationText(y[1], Math.ceil) }
    : {};
  return { ...query, ...time, ...durations };
}

/** As the fields of durations take it: `61.3ms`. */
export function durationText(micros: number, round: (value: number) => number): string {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, micros))) - 2);
  const rounded = Math.max(1, round(micros / unit) * unit);
  if (rounded >= 1_000_000) return `${rounded / 1_000_000}s`;
  return rounded >= 1000 ? `${rounded / 1000}ms` : `${rounded}us`;
}

/** More lines than these, and their texts would lie on each other. */
const SPLITS_MAX = 7;

/** Round values of a logarithmic scale: all digits of each decade, or 1, 2 and 5, or decades, or every few of them. */
export function logSplits(low: number, high: number): number[] {
  const of = (digits: readonly number[], step: number) => {
    const splits: number[] = [];
    for (let exponent = Math.floor(Math.log10(low)); 10 ** exponent <= high; exponent += 1) {
      if (exponent % step !== 0) continue;
      splits.push(...digits.map((digit) => digit * 10 ** exponent).filter((split) => split >= low && split <= high));
    }
    return splits;
  };
  for (const digits of [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 5]]) {
    const splits = of(digits, 1);
    if (splits.length <= SPLITS_MAX) return splits;
  }
  let step = 1;
  while (of([1], step).length > SPLITS_MAX) step += 1;
  return of([1], step);
}
