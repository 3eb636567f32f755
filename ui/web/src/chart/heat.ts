/** How many requests took how long, step by step: buckets of durations as cells, the more requests the stronger. */
import type uPlot from 'uplot';

import { tokenColour } from './colours';
import type { TimeSteps } from './time-chart';

/** Parts that an octave is divided into, 2 to this power: as the server does it. */
const PART_BITS = 2;

export interface HeatCell {
  /** Which step. */
  step: number;
  /** Microseconds, both are in it. */
  low: number;
  high: number;
  count: number;
}

export interface Heat {
  cells: HeatCell[];
  /** Of all cells. */
  low: number;
  high: number;
  /** Of the fullest cell. */
  most: number;
}

/** The least duration of the bin whose greatest this is: an octave has four bins, and below 4 every number is one. */
function lowest(high: number): number {
  const octave = Math.floor(Math.log2(Math.max(1, high)));
  return high + 1 - 2 ** Math.max(0, octave - PART_BITS);
}

/** Cells of steps' bins, `[greatest, how many]`; `null` where no step has any. */
export function heatOf(steps: readonly (readonly (readonly [number, number])[] | undefined)[]): Heat | null {
  const cells: HeatCell[] = [];
  steps.forEach((buckets, step) => {
    for (const [high, count] of buckets ?? []) {
      if (count > 0) cells.push({ step, low: lowest(high), high, count });
    }
  });
  if (cells.length === 0) return null;
  let [low, high, most] = [Infinity, 0, 0];
  for (const cell of cells) {
    low = Math.min(low, cell.low);
    high = Math.max(high, cell.high);
    most = Math.max(most, cell.count);
  }
  return { cells, low: Math.max(1, low), high, most };
}

/** The cell at a step and a duration, if there is one. */
export function cellAt(heat: Heat, step: number, duration: number): HeatCell | undefined {
  return heat.cells.find((cell) => cell.step === step && duration >= cell.low && duration < cell.high + 1);
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
    const top = chart.valToPos(cell.high + 1, 'y', true);
    const bottom = chart.valToPos(Math.max(0.5, cell.low), 'y', true);
    ctx.globalAlpha = strength(cell.count, heat.most);
    ctx.fillRect(left, top, Math.max(1, right - left - 1), Math.max(1, bottom - top - 1));
  }
  ctx.restore();
}
