/** How many requests took how long, step by step: buckets of durations as cells, the more requests the stronger. */
import type uPlot from 'uplot';

import { tokenColour } from './colours';
import type { TimeSteps } from './time-chart';

/** Cells between a duration and ten times it. */
const CELLS_A_DECADE = 12;

export interface HeatCell {
  /** Which step. */
  step: number;
  /** Microseconds; above `low`, up to `high`. */
  low: number;
  high: number;
  count: number;
}

export interface Heat {
  cells: HeatCell[];
  /** The lowest and the highest edge of all cells. */
  low: number;
  high: number;
  /** Of the fullest cell. */
  most: number;
}

/** The index of the cell that a bucket belongs to; a bucket is told by its upper bound. */
function cellOf(upper: number): number {
  // What is a power of ten to a computer's last digit is one.
  return Math.max(0, Math.ceil(Math.log10(Math.max(1, upper)) * CELLS_A_DECADE - 1e-9) - 1);
}

const edge = (cell: number) => 10 ** (cell / CELLS_A_DECADE);

/** Cells of steps' buckets, `[upper bound, how many]`; `null` where no step has any. */
export function heatOf(steps: readonly (readonly (readonly [number, number])[] | undefined)[]): Heat | null {
  const cells: HeatCell[] = [];
  steps.forEach((buckets, step) => {
    const counts = new Map<number, number>();
    for (const [upper, count] of buckets ?? []) {
      if (count > 0) counts.set(cellOf(upper), (counts.get(cellOf(upper)) ?? 0) + count);
    }
    for (const [cell, count] of [...counts].sort(([a], [b]) => a - b)) {
      cells.push({ step, low: edge(cell), high: edge(cell + 1), count });
    }
  });
  if (cells.length === 0) return null;
  let [low, high, most] = [Infinity, 0, 0];
  for (const cell of cells) {
    low = Math.min(low, cell.low);
    high = Math.max(high, cell.high);
    most = Math.max(most, cell.count);
  }
  return { cells, low, high, most };
}

/** The cell at a step and a duration, if there is one. */
export function cellAt(heat: Heat, step: number, duration: number): HeatCell | undefined {
  return heat.cells.find((cell) => cell.step === step && duration > cell.low && duration <= cell.high);
}

/** How strong a cell is, 0 to 1: by the root, or a few slow requests would not be seen beside many usual ones. */
export function strength(count: number, most: number): number {
  return 0.12 + 0.88 * Math.sqrt(count / most);
}

/** Before the lines are drawn. */
export function paintHeat(chart: uPlot, heat: Heat, { starts, step }: TimeSteps): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = tokenColour('--heat-1');
  for (const cell of heat.cells) {
    const start = starts[cell.step] ?? 0;
    const left = chart.valToPos(start / 1000, 'x', true);
    const right = chart.valToPos((start + step) / 1000, 'x', true);
    const top = chart.valToPos(cell.high, 'y', true);
    const bottom = chart.valToPos(cell.low, 'y', true);
    ctx.globalAlpha = strength(cell.count, heat.most);
    ctx.fillRect(left, top, Math.max(1, right - left - 1), Math.max(1, bottom - top - 1));
  }
  ctx.restore();
}
