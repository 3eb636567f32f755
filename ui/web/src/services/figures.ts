/** Figures of services out of those of their operations and of their steps. Durations are microseconds. */
import type { LatencyChart, OperationRow, Point } from '../api/schema';

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
  /** The usual ones of a step. */
  percentiles?: Percentiles | undefined;
  /** p95 a step. */
  p95s: (number | undefined)[];
  /** Those that served in the last steps with requests, the one with the most first. */
  live: LiveVersion[];
  /** The usual p95 of a step by version, of those with a version and requests. */
  byVersion: { version: string; count: number; p95?: number | undefined }[];
  missing: string | null;
}

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

/** The value that half of the weight is at or below; nothing of nothing. */
export function weightedMedian(values: readonly (readonly [value: number, weight: number])[]): number | undefined {
  const sorted = values.filter(([, weight]) => weight > 0).toSorted(([a], [b]) => a - b);
  const half = sorted.reduce((sum, [, weight]) => sum + weight, 0) / 2;
  let seen = 0;
  for (const [value, weight] of sorted) {
    seen += weight;
    if (seen >= half) return value;
  }
  return undefined;
}

/** The usual percentiles of steps: of each the median, by requests. Those of all steps together nobody can tell from them. */
export function usualPercentiles(points: readonly Point[]): Percentiles | undefined {
  const of = (key: keyof Percentiles) => weightedMedian(points.flatMap((point) => (point[key] == null ? [] : [[point[key], point.count] as const])));
  const [p50, p95, p99] = [of('p50'), of('p95'), of('p99')];
  return p50 === undefined || p95 === undefined || p99 === undefined ? undefined : { p50, p95, p99 };
}

/** The last steps with requests that say which versions are live. */
const LIVE_STEPS = 2;

/** What its steps, and those by version, tell of a service. */
export function stepsOf(all: LatencyChart, byVersion: LatencyChart, missing: string | null): ServiceSteps {
  const points = all.series[0]?.points ?? [];
  const busy = points.flatMap(({ count }, index) => (count > 0 ? [index] : []));
  return {
    count: points.reduce((sum, { count }) => sum + count, 0),
    percentiles: usualPercentiles(points),
    p95s: points.map(({ p95 }) => p95 ?? undefined),
    live: liveVersions(byVersion.series, busy.slice(-LIVE_STEPS)),
    byVersion: byVersion.series.flatMap(({ version, points: own }) => {
      const count = own.reduce((sum, point) => sum + point.count, 0);
      return version == null || count === 0 ? [] : [{ version, count, p95: usualPercentiles(own)?.p95 }];
    }),
    missing,
  };
}

function liveVersions(series: LatencyChart['series'], steps: readonly number[]): LiveVersion[] {
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
