/** Distributions from a report's histograms: `[upper bound in microseconds, how many]`, by bound. */
import type { OperationSide } from '../api/schema';

export type Histogram = OperationSide['histogram'];

/** A step of an empirical distribution function: up to `bound`, this share of all. */
export interface Step {
  bound: number;
  share: number;
}

/** The empirical distribution function; none of a histogram without durations. */
export function ecdfOf(histogram: Histogram): Step[] {
  const all = countOf(histogram);
  if (all === 0) return [];
  let before = 0;
  return histogram.map(([bound, count]) => ({ bound: bound ?? 0, share: (before += count ?? 0) / all }));
}

export function countOf(histogram: Histogram): number {
  return histogram.reduce((sum, [, count]) => sum + (count ?? 0), 0);
}

/** The smallest bound that at least this share does not exceed. */
export function quantileOf(steps: readonly Step[], share: number): number | undefined {
  // What adds up to one in floating point may miss it by a little.
  return steps.find((step) => step.share >= share - 1e-9)?.bound;
}

/** Buckets of equal width on a logarithmic scale. */
export interface LogBins {
  /** One more than there are bins, microseconds. */
  edges: number[];
  /** Share of all in each bin. */
  baseline: number[];
  candidate: number[];
}

/** Both histograms in `bins` common buckets, each as shares of its own. */
export function logBinsOf(baseline: Histogram, candidate: Histogram, bins: number): LogBins {
  const [low, high] = logExtentOf([baseline, candidate]);
  const width = Math.log(high / low) / bins;
  const edges = Array.from({ length: bins + 1 }, (_, index) => low * Math.exp(index * width));
  const sharesOf = (histogram: Histogram) => {
    const shares = new Array<number>(bins).fill(0);
    const all = countOf(histogram) || 1;
    for (const [bound, count] of histogram) {
      const index = Math.ceil(Math.log(Math.max(bound ?? 1, low) / low) / width) - 1;
      const bin = Math.max(0, Math.min(bins - 1, index));
      shares[bin] = (shares[bin] ?? 0) + (count ?? 0) / all;
    }
    return shares;
  };
  return { edges, baseline: sharesOf(baseline), candidate: sharesOf(candidate) };
}

/** From which to which duration a logarithmic scale goes: never zero, never empty. */
export function logExtentOf(histograms: readonly Histogram[]): [number, number] {
  const bounds = histograms.flatMap((histogram) => histogram.filter(([, count]) => (count ?? 0) > 0).map(([bound]) => Math.max(1, bound ?? 1)));
  if (bounds.length === 0) return [1, 10];
  const low = bounds.reduce((a, b) => Math.min(a, b));
  const high = bounds.reduce((a, b) => Math.max(a, b));
  return low === high ? [low / 2, high * 2] : [low * 0.95, high * 1.05];
}
