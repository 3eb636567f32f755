/** How long an operation usually takes, by version, and where a span is among them. Durations are microseconds. */
import type { Latency, LatencySeries } from '../api/services';
import { merged, percentilesOf } from '../services/figures';

export interface Usual {
  /** Absent where spans bear none. */
  version: string | undefined;
  count: number;
  p50: number | undefined;
  p95: number | undefined;
  /** The share of requests that took as long or less than the span; absent where the server does not say. */
  share: number | undefined;
}

/** The span's own version first, then those with the most requests. */
export function usualOf({ series }: Latency, duration: number, version: string | undefined): Usual[] {
  const all = series.map((one) => usualOfSeries(one, duration)).filter(({ count }) => count > 0);
  return all.sort((a, b) => Number(b.version === version) - Number(a.version === version) || b.count - a.count);
}

function usualOfSeries({ version, points }: LatencySeries, duration: number): Usual {
  const count = points.reduce((sum, point) => sum + point.count, 0);
  const percentiles = percentilesOf(points);
  const buckets = merged(points.map(({ histogram }) => histogram ?? []));
  const total = buckets.reduce((sum, [, requests]) => sum + requests, 0);
  // A bucket goes from the bound before it to its own: what lies in the span's own counts by half.
  const within = buckets.findIndex(([upper]) => upper >= duration);
  const below = buckets.reduce((sum, [upper, requests]) => sum + (upper < duration ? requests : 0), 0);
  const beside = (buckets[within]?.[1] ?? 0) / 2;
  return {
    version: version ?? undefined,
    count,
    p50: percentiles?.p50,
    p95: percentiles?.p95,
    share: total > 0 ? (below + beside) / total : undefined,
  };
}
