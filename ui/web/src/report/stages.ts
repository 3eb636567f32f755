/**
 * The stages of a rollout, and what requests did in each: before, wave by wave, after, and after it was taken back. The
 * server's minutes are taken as they are; what is of two stages is of none.
 */
import type { Deployment, LatencyChart, Point, Report } from '../api/schema';

/** How long before and after a rollout is looked at, milliseconds, and in how many steps at least. */
const AROUND_MS = 900_000;
const AROUND_STEPS = 10;

const MINUTE_MS = 60_000;

/** Steps of the time from the rollout's begin on, about. */
const STEPS_MAX = 200;

/** Instances that switch with less than this between one and the next are of one wave, as to the server. */
const WAVE_GAP_MS = 60_000;

/** Fewer steps before the rollout tell nothing of how much the time varies by itself. */
const NOISE_STEPS_MIN = 3;

/** What is left of an effect where it went away, as a share of it. */
const LEFT_MAX = 0.1;

/** Of a rollout without known instances, steps go by the share of requests that the new version answered, up to these. */
const SHARES = [0.25, 0.5, 0.75, 0.99, 1];

export type StageKind = 'before' | 'wave' | 'share' | 'during' | 'after' | 'rolledBack';

export interface Stage {
  kind: StageKind;
  /** Milliseconds since the epoch. */
  startTs: number;
  endTs: number;
  /** Instances that run the new version; absent where none was told. */
  switched?: number;
  /** Of how many; absent while more may be told. */
  all?: number;
  /** Of the kind `share`: no step has more than this of the new version. */
  upTo?: number;
}

/** What is asked: a window of whole steps, milliseconds. */
export interface Stages {
  startTs: number;
  endTs: number;
  step: number;
  stages: Stage[];
}

export interface Wave {
  startTs: number;
  endTs: number;
  /** Instances that have switched when it is over. */
  switched: number;
}

export function wavesOf({ instances = [] }: Deployment): Wave[] {
  const waves: Wave[] = [];
  const moments = instances.map(({ switchTs }) => switchTs).sort((a, b) => a - b);
  moments.forEach((at, index) => {
    const last = waves.at(-1);
    if (last && at - last.endTs < WAVE_GAP_MS) Object.assign(last, { endTs: at, switched: index + 1 });
    else waves.push({ startTs: at, endTs: at, switched: index + 1 });
  });
  return waves;
}

/** The stages of a deployment as far as they have come, at a moment. */
export function stagesOf(deployment: Deployment, { endTs: seenTs }: Report['candidate'], now: number): Stages {
  const { startTs, endTs, rolledBackTs, instances = [] } = deployment;
  const over = rolledBackTs ?? Math.max(seenTs, endTs ?? startTs);
  const step = Math.max(1, Math.ceil((over - startTs) / STEPS_MAX / MINUTE_MS)) * MINUTE_MS;
  const around = Math.max(AROUND_MS, AROUND_STEPS * step);
  const last = Math.min(now, rolledBackTs != null ? over + around : Math.max(over, (endTs ?? startTs) + around));
  const until = Math.min(last, rolledBackTs ?? last);
  const waves = wavesOf(deployment);
  const all = endTs != null ? { all: instances.length } : {};
  const stages: Stage[] = [{ kind: 'before', startTs: startTs - around, endTs: Math.min(startTs, waves[0]?.startTs ?? startTs) }];
  waves.forEach(({ endTs: begin, switched }, index) => {
    const next = waves[index + 1];
    const isAfter = !next && endTs != null;
    stages.push({ kind: isAfter ? 'after' : 'wave', startTs: isAfter ? Math.max(begin, endTs) : begin, endTs: next?.startTs ?? until, switched, ...all });
  });
  if (waves.length === 0) {
    stages.push({ kind: 'during', startTs, endTs: Math.min(until, endTs ?? until) });
    if (endTs != null) stages.push({ kind: 'after', startTs: endTs, endTs: until });
  }
  if (rolledBackTs != null) stages.push({ kind: 'rolledBack', startTs: rolledBackTs, endTs: last });
  return { startTs: startTs - around, endTs: last, step, stages: stages.filter((stage) => stage.startTs < stage.endTs) };
}

/** What requests did in a stage: mean durations in microseconds or, of errors, shares that failed. */
export interface StageFigures extends Stage {
  /** Of the entry operation. */
  requests: number;
  mean?: number;
  /** Against before the rollout. */
  change?: number;
  /** Share of the deployed service's requests that the new version answered, where spans tell their version. */
  share?: number;
  /** Of the operation that changed, at the same time by either version. */
  old?: number;
  new?: number;
}

export interface Evidence {
  stages: StageFigures[];
  /** By how much single steps before the rollout were off their mean. */
  noise?: { low: number; high: number };
  /** Whether the effect grows with the share of the new version; absent where it has no share between none and all. */
  dose?: 'grows' | 'not';
  /** Whether it went away with the version; absent where nothing was taken back, or nothing had changed. */
  recovered?: boolean;
}

type Value = (point: Point) => number | null | undefined;

/** Of errors the share that failed, else the mean duration. */
export const valueOf = (ofErrors: boolean): Value => (ofErrors ? (point) => point.errorRate : (point) => point.mean);

/**
 * `whole` is of the entry operation, `parts` of the operation that changed, a series a version, both in the same steps;
 * `versions` are the one before and the new one.
 */
export function evidenceOf({ stages }: Stages, whole: LatencyChart, parts: LatencyChart, versions: readonly [string | undefined, string], ofErrors: boolean): Evidence {
  const value = valueOf(ofErrors);
  const all = whole.series[0]?.points ?? [];
  const [older, newer] = versions.map((version) => parts.series.find((series) => version !== undefined && series.version === version)?.points ?? []) as [Point[], Point[]];
  // Where no span tells its version, instances do, and requests are not told apart by them.
  const untold = older.length + newer.length === 0 ? parts.series.find((series) => series.version == null)?.points : undefined;
  const shares = new Map(newer.map(({ startTs, count }, index) => [startTs, count / (count + (older[index]?.count ?? 0))]));
  const isIn = (point: Point, stage: Stage) => isWithin(point, whole.step, stage) && (stage.upTo === undefined || binOf(shares.get(point.startTs)) === stage.upTo);
  const within = (points: readonly Point[], stage: Stage) => points.filter((point) => isIn(point, stage));
  const before = stages[0] && meanOf(within(all, stages[0]), value).mean;
  const figures = stages.flatMap((stage) => byShare(stage, shares, whole.step)).map((stage): StageFigures => {
    const { requests, mean } = meanOf(within(all, stage), value);
    const [a, b] = sidesOf(stage, { older, newer, untold }).map((points) => meanOf(within(points, stage), value)) as [Mean, Mean];
    const told = untold ? 0 : a.requests + b.requests;
    return {
      ...stage,
      requests,
      ...(mean !== undefined && { mean }),
      ...(mean !== undefined && before !== undefined && { change: mean - before }),
      ...(told > 0 && { share: b.requests / told }),
      ...(a.mean !== undefined && { old: a.mean }),
      ...(b.mean !== undefined && { new: b.mean }),
    };
  });
  const noise = stages[0] && before !== undefined ? noiseOf(within(all, stages[0]), before, value) : undefined;
  const dose = noise && doseOf(figures, noise);
  const recovered = noise && recoveryOf(figures, noise);
  return { stages: figures, ...(noise && { noise }), ...(dose && { dose }), ...(recovered !== undefined && { recovered }) };
}

interface Series {
  older: readonly Point[];
  newer: readonly Point[];
  /** Of versions that no span tells. */
  untold: readonly Point[] | undefined;
}

/** What either version answered. Of instances alone it is known before the first has switched, and once all have. */
function sidesOf({ kind, switched, all }: Stage, { older, newer, untold }: Series): [readonly Point[], readonly Point[]] {
  if (!untold) return [older, newer];
  if (kind === 'before' || kind === 'rolledBack') return [untold, []];
  return [[], switched !== undefined && switched === all ? untold : []];
}

/** Whether a step is in a stage from begin to end. */
function isWithin({ startTs: at }: Pick<Point, 'startTs'>, step: number, { startTs, endTs }: Stage): boolean {
  return at >= startTs && at + step <= endTs;
}

/** The least of `SHARES` that a share is not above; of a step without requests none. */
function binOf(share = NaN): number | undefined {
  return SHARES.find((most) => share <= most);
}

/** The time of a rollout in parts, by how much of its service was new; whole where that is not known, or always alike. */
function byShare(stage: Stage, shares: ReadonlyMap<number, number>, step: number): Stage[] {
  if (stage.kind !== 'during') return [stage];
  const bins = new Set([...shares].filter(([startTs]) => isWithin({ startTs }, step, stage)).map(([, share]) => binOf(share)));
  const parts = SHARES.filter((most) => bins.has(most)).map((upTo): Stage => ({ ...stage, kind: 'share', upTo }));
  return parts.length > 1 ? parts : [stage];
}

interface Mean {
  requests: number;
  mean?: number;
}

function meanOf(points: readonly Point[], value: Value): Mean {
  let [requests, sum] = [0, 0];
  for (const point of points) {
    const at = value(point);
    if (at == null) continue;
    requests += point.count;
    sum += at * point.count;
  }
  return { requests, ...(requests > 0 && { mean: sum / requests }) };
}

function noiseOf(points: readonly Point[], mean: number, value: Value): Evidence['noise'] {
  const off = points.map(value).filter((at) => at != null).map((at) => at - mean);
  return off.length < NOISE_STEPS_MIN ? undefined : { low: Math.min(...off), high: Math.max(...off) };
}

/** How much of the service is new in a stage, as far as it is known. */
export function shareOf({ kind, share, switched, all }: StageFigures): number | undefined {
  if (kind === 'before') return 0;
  return share ?? (switched !== undefined && all !== undefined && all > 0 ? switched / all : undefined);
}

export const isBeyond = (change: number, { low, high }: NonNullable<Evidence['noise']>) => change < low || change > high;

/** The stages that tell the dose: those of a known share, the least first. */
export function doses(figures: readonly StageFigures[]): { share: number; change: number }[] {
  return figures
    .flatMap((stage) => {
      const share = stage.kind === 'rolledBack' ? undefined : shareOf(stage);
      return share === undefined || stage.change === undefined ? [] : [{ share, change: stage.change }];
    })
    .sort((a, b) => a.share - b.share);
}

function doseOf(figures: readonly StageFigures[], noise: NonNullable<Evidence['noise']>): Evidence['dose'] {
  const known = doses(figures);
  const last = known.at(-1);
  if (!last || !isBeyond(last.change, noise) || !known.some(({ share }) => share > 0 && share < last.share)) return undefined;
  // A step back within what the time does by itself is none.
  const slack = noise.high - noise.low;
  const sign = Math.sign(last.change);
  return known.every(({ change }, index) => (change - (known[index - 1]?.change ?? 0)) * sign >= -slack) ? 'grows' : 'not';
}

function recoveryOf(figures: readonly StageFigures[], noise: NonNullable<Evidence['noise']>): boolean | undefined {
  const back = figures.find(({ kind }) => kind === 'rolledBack')?.change;
  const worst = figures.filter(({ kind }) => kind !== 'rolledBack').map(({ change = 0 }) => change).reduce((most, change) => (Math.abs(change) > Math.abs(most) ? change : most), 0);
  if (back === undefined || !isBeyond(worst, noise)) return undefined;
  return !isBeyond(back, noise) || Math.abs(back) <= LEFT_MAX * Math.abs(worst);
}
