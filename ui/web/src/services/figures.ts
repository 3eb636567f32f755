/** Figures of services out of those of their operations and of their steps. Durations are microseconds. */
import type { Latency, LatencyPoint } from '../api/services';
import type { OperationRow } from '../api/schema';

export interface ServiceFigures {
  serviceName: string;
  /** Requests. */
  count: number;
  errors: number;
  /** Requests a second. */
  rate: number;
  /** Of its only operation; of several, nobody knows those of all of them from these. */
  p50?: number | undefined;
  p95?: number | undefined;
  p99?: number | undefined;
}

export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

/** A version and how much of the newest traffic it serves. */
export interface LiveVersion {
  version: string;
  /** 0 to 1. */
  share: number;
}

/** What a series of steps tells of a service. */
export interface ServiceSteps {
  count: number;
  percentiles?: Percentiles | undefined;
  /** p95 a step. */
  p95s: (number | undefined)[];
  /** Those that served in the last steps with requests, the one with the most first. */
  live: LiveVersion[];
  /** p95 by version, of those with a version and requests. */
  byVersion: { version: string; count: number; p95?: number | undefined }[];
  missing: string | null;
}

type Buckets = readonly (readonly [number, number])[];

/** The rows that are requests of their service: those that answer, else local ones, else its own calls. */
export function requestRows(rows: readonly OperationRow[]): OperationRow[] {
  const of = (...kinds: (string | undefined)[]) => rows.filter(({ spanKind }) => kinds.includes(spanKind ?? undefined));
  const answers = of('SERVER', 'CONSUMER');
  if (answers.length > 0) return answers;
  const local = of(undefined);
  return local.length > 0 ? local : of('CLIENT', 'PRODUCER');
}

/** A row a service. Services of `names` without requests have 0. */
export function serviceFigures(operations: readonly OperationRow[], names: readonly string[]): ServiceFigures[] {
  const byService = new Map<string, OperationRow[]>(names.map((name) => [name, []]));
  for (const row of operations) {
    const rows = byService.get(row.serviceName);
    if (rows) rows.push(row);
    else byService.set(row.serviceName, [row]);
  }
  return [...byService].map(([serviceName, rows]) => figuresOf(serviceName, requestRows(rows)));
}

function figuresOf(serviceName: string, rows: readonly OperationRow[]): ServiceFigures {
  const sum = (of: (row: OperationRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  const [only] = rows;
  const single = rows.length === 1 && only ? { p50: only.p50 ?? undefined, p95: only.p95 ?? undefined, p99: only.p99 ?? undefined } : {};
  return { serviceName, count: sum((row) => row.count), errors: sum((row) => row.errors), rate: sum((row) => row.rate), ...single };
}

/** The upper bound of the bucket that a share of all values lies in; nothing of no values. */
export function quantile(buckets: Buckets, share: number): number | undefined {
  const total = buckets.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return undefined;
  const rank = Math.max(1, Math.ceil(share * total));
  let seen = 0;
  for (const [upper, count] of buckets) {
    seen += count;
    if (seen >= rank) return upper;
  }
  return undefined;
}

/** Buckets of several in one, in order. */
export function merged(all: readonly Buckets[]): [number, number][] {
  const counts = new Map<number, number>();
  for (const buckets of all) {
    for (const [upper, count] of buckets) counts.set(upper, (counts.get(upper) ?? 0) + count);
  }
  return [...counts].sort(([a], [b]) => a - b);
}

/** Percentiles of several steps or versions together: by their buckets, or those of the only one with requests. */
export function percentilesOf(points: readonly LatencyPoint[]): Percentiles | undefined {
  const busy = points.filter(({ count }) => count > 0);
  const [only] = busy;
  if (busy.length === 1 && only?.p50 != null && only.p95 != null && only.p99 != null) {
    return { p50: only.p50, p95: only.p95, p99: only.p99 };
  }
  if (busy.some(({ histogram }) => histogram === undefined)) return undefined;
  const buckets = merged(busy.map(({ histogram }) => histogram ?? []));
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => quantile(buckets, share));
  return p50 === undefined || p95 === undefined || p99 === undefined ? undefined : { p50, p95, p99 };
}

/** The last steps with requests that say which versions are live. */
const LIVE_STEPS = 2;

/** What steps by version tell of their service as a whole. */
export function stepsOf({ series }: Latency, missing: string | null): ServiceSteps {
  const steps = series[0]?.points.length ?? 0;
  const at = (index: number) => series.flatMap(({ points }) => points[index] ?? []);
  const together = Array.from({ length: steps }, (_, index) => at(index));
  const busy = together.flatMap((points, index) => (points.some(({ count }) => count > 0) ? [index] : []));
  return {
    count: together.flat().reduce((sum, { count }) => sum + count, 0),
    percentiles: percentilesOf(together.flat()),
    p95s: together.map((points) => percentilesOf(points)?.p95),
    live: liveVersions(series, busy.slice(-LIVE_STEPS)),
    byVersion: series.flatMap(({ version, points }) => {
      const count = points.reduce((sum, point) => sum + point.count, 0);
      return version == null || count === 0 ? [] : [{ version, count, p95: percentilesOf(points)?.p95 }];
    }),
    missing,
  };
}

function liveVersions(series: Latency['series'], steps: readonly number[]): LiveVersion[] {
  const counts = series.map(({ version, points }) => ({
    version,
    count: steps.reduce((sum, index) => sum + (points[index]?.count ?? 0), 0),
  }));
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  return counts
    .flatMap(({ version, count }) => (version == null || count === 0 ? [] : [{ version, share: count / total }]))
    .sort((a, b) => b.share - a.share);
}

/** A whole minute or more: some twenty steps of a window, milliseconds. */
export function sparkStep(lookback: number): number {
  const minute = 60_000;
  return Math.max(minute, Math.ceil(lookback / 20 / minute) * minute);
}
