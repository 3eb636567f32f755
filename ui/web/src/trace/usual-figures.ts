/** How long an operation usually takes, by version, and where a span is among that. Durations are microseconds. */
import type { LatencyChart, Point } from '../api/schema';

/** The percentiles that steps have, from the lowest. */
export const PERCENTILES = ['p50', 'p90', 'p95', 'p99'] as const;
export type Percentile = (typeof PERCENTILES)[number];

export interface Usual {
  /** Absent where spans bear none. */
  version: string | undefined;
  count: number;
  p50: number | undefined;
  p95: number | undefined;
  /** The highest percentile that the span is above; absent where it is above none. */
  above: Percentile | undefined;
}

/** The span's own version first, then those with the most requests. Of each its busiest step. */
export function usualOf({ series }: Pick<LatencyChart, 'series'>, duration: number, version: string | undefined): Usual[] {
  const all = series.flatMap(({ version: of, points }) => {
    const busiest = points.reduce<Point | undefined>((most, point) => (point.count > (most?.count ?? 0) ? point : most), undefined);
    return busiest ? [usualOfStep(busiest, of ?? undefined, duration)] : [];
  });
  return all.sort((a, b) => Number(b.version === version) - Number(a.version === version) || b.count - a.count);
}

/** Of one version alone; `undefined` where nothing is known of it. */
export function usualOfVersion(chart: Pick<LatencyChart, 'series'>, duration: number, version: string | undefined): Usual | undefined {
  return usualOf(chart, duration, version).find((usual) => usual.version === version);
}

function usualOfStep(point: Point, version: string | undefined, duration: number): Usual {
  const above = PERCENTILES.findLast((name) => duration > (point[name] ?? Infinity));
  return { version, count: point.count, p50: point.p50 ?? undefined, p95: point.p95 ?? undefined, above };
}
