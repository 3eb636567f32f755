/** The time axis: where it is labelled and how, for any stretch of any length. */
import { multiplesOf, stepOf } from '../chart/scale';

/** How far labels are apart, where at most `count` have room: round in the unit that they are written in. */
export function tickStep(from: number, to: number, count: number): number {
  const [, size] = unitOf(to);
  return Math.max(1, stepOf((to - from) / size, count) * size);
}

/** Round times in a stretch, at most `count` and one more. */
export function ticksOf(from: number, to: number, count: number): number[] {
  return multiplesOf(tickStep(from, to, count), from, to);
}

const UNITS: [string, number][] = [
  ['µs', 1],
  ['ms', 1000],
  ['s', 1_000_000],
  ['min', 60_000_000],
  ['h', 3_600_000_000],
];

/** In which times of an axis are written that ends there. */
function unitOf(end: number): [string, number] {
  return UNITS.findLast(([, size]) => end >= size * 2) ?? ['µs', 1];
}

/** A time of the axis with as many decimals as tell it from its neighbours: `1.2345 s` where steps are so small. */
export function tickLabel(time: number, step: number, end: number): string {
  const [unit, size] = unitOf(end);
  const decimals = Math.max(0, Math.min(9, Math.ceil(-Math.log10(step / size) - 1e-9)));
  return `${(time / size).toLocaleString('en', { minimumFractionDigits: 0, maximumFractionDigits: decimals })} ${unit}`;
}

/** A stretch around a point that stays where it is: `factor` below 1 goes nearer. Within the whole, a microsecond at least. */
export function zoomed(stretch: Stretch, whole: Stretch, factor: number, around: number): Stretch {
  const length = Math.min(whole.to - whole.from, Math.max(1, (stretch.to - stretch.from) * factor));
  const part = (around - stretch.from) / Math.max(1e-9, stretch.to - stretch.from);
  return within({ from: around - part * length, to: around + (1 - part) * length }, whole);
}

/** A stretch moved by a part of its length, and no further than the whole. */
export function panned(stretch: Stretch, whole: Stretch, part: number): Stretch {
  const by = (stretch.to - stretch.from) * part;
  return within({ from: stretch.from + by, to: stretch.to + by }, whole);
}

/** As long, but inside. */
function within({ from, to }: Stretch, whole: Stretch): Stretch {
  const length = Math.min(to - from, whole.to - whole.from);
  const begin = Math.min(Math.max(from, whole.from), whole.to - length);
  return { from: begin, to: begin + length };
}

/** Microseconds since the trace's start. */
export interface Stretch {
  from: number;
  to: number;
}
