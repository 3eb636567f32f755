/** Lines of charts out of what the server says a step. */
import type { LatencyChart, Point, Series } from '../api/schema';
import type { TimeLine } from '../chart/time-chart';
import { text } from './text';

/** Percentiles are told apart by how they are drawn. */
const PERCENTILES = [
  { key: 'p50' },
  { key: 'p95', dash: [8, 4] },
  { key: 'p99', dash: [2, 3] },
] as const;

/** Versions are told apart by colour, dashes and name: the one with the most requests first. */
const VERSION_TOKENS = ['--before', '--after', '--pass', '--marginal', '--muted'];

/** More lines than these cannot be told apart; tables have all. */
const VERSION_LINES = VERSION_TOKENS.length;

/** A line a version, or one of all. */
function versionLines(latency: LatencyChart, split: boolean, label: string, value: (point: Point) => number | null | undefined): TimeLine[] {
  if (!split) return [{ label, token: '--link', values: merge(latency).map(value) }];
  return latency.series.slice(0, VERSION_LINES).map((series, index) => ({
    label: versionName(series),
    token: VERSION_TOKENS[index] ?? '--muted',
    ...(index >= 2 && { dash: [8, 2 + index] }),
    values: series.points.map(value),
  }));
}

export const rateLines = (latency: LatencyChart, split: boolean) => versionLines(latency, split, text.rate, ({ rate }) => rate);

export const errorLines = (latency: LatencyChart, split: boolean) => versionLines(latency, split, text.errorShare, ({ errorRate }) => errorRate);

/** p50, p95 and p99 of all; of versions p50 and p99, or there would be too many lines. */
export function durationLines(latency: LatencyChart, split: boolean): TimeLine[] {
  const [median, , slow] = PERCENTILES;
  if (!split) {
    const points = latency.series[0]?.points ?? [];
    return PERCENTILES.map((look) => ({ ...lookOf(look), label: text[look.key], token: '--after', values: points.map((point) => point[look.key]) }));
  }
  return latency.series.slice(0, VERSION_LINES).flatMap((series, index) =>
    [median, slow].map((look) => ({
      ...lookOf(look),
      label: text.ofVersion(text[look.key], versionName(series)),
      token: VERSION_TOKENS[index] ?? '--muted',
      values: series.points.map((point) => point[look.key]),
    })),
  );
}

function lookOf(look: (typeof PERCENTILES)[number]): Pick<TimeLine, 'dash'> {
  return 'dash' in look ? { dash: [...look.dash] } : {};
}

export function versionName({ version }: Pick<Series, 'version'>): string {
  return version ?? text.noVersion;
}

/** All series together, step by step; percentiles of several nobody can tell. */
export function merge({ series }: LatencyChart): Point[] {
  const [first] = series;
  if (series.length === 1 && first) return first.points;
  return (first?.points ?? []).map(({ startTs }, index) => {
    const points = series.flatMap(({ points }) => points[index] ?? []);
    const sum = (of: (point: Point) => number) => points.reduce((total, point) => total + of(point), 0);
    const [count, errors] = [sum((point) => point.count), sum((point) => point.errors)];
    return {
      startTs,
      count,
      errors,
      rate: sum(({ rate }) => rate),
      ...(count > 0 && { errorRate: errors / count }),
    };
  });
}

/** The lowest and the highest value of lines; `null` where they have none. */
export function rangeOf(lines: readonly TimeLine[]): { low: number; high: number } | null {
  let [low, high] = [Infinity, -Infinity];
  for (const { values } of lines) {
    for (const value of values) {
      if (value == null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return low <= high ? { low, high } : null;
}
