/** Places on the map: boxes, lines between them, and which is next to which. */
export const NODE_WIDTH = 236;
export const NODE_HEIGHT = 66;

export interface LayoutInput {
  /** Names of services. */
  nodes: string[];
  /** Indexes of `nodes`. */
  links: { parent: number; child: number }[];
}

export interface At {
  x: number;
  y: number;
}

export interface Layout {
  width: number;
  height: number;
  /** Middles, in the order that was given. */
  nodes: At[];
  /** In the order that was given. */
  links: { points: At[]; label: At }[];
}

/** A line that is level wherever it passes a point. */
export function pathThrough(points: readonly At[]): string {
  const [first, ...rest] = points;
  if (!first) return '';
  let path = `M${first.x} ${first.y}`;
  let before = first;
  for (const point of rest) {
    const middle = (before.x + point.x) / 2;
    path += `C${middle} ${before.y} ${middle} ${point.y} ${point.x} ${point.y}`;
    before = point;
  }
  return path;
}

/** A call of itself, up and around. */
export function loopPath(points: readonly At[]): string {
  const [out, corner, other, end] = points;
  return out && corner && other && end ? `M${out.x} ${out.y}C${corner.x} ${corner.y} ${other.x} ${other.y} ${end.x} ${end.y}` : '';
}

export type Direction = 'left' | 'right' | 'up' | 'down';

/** The nearest other place in a direction; sideways counts twice. */
export function nearest(places: readonly At[], from: number, direction: Direction): number | null {
  const here = places[from];
  if (!here) return null;
  const horizontal = direction === 'left' || direction === 'right';
  const sign = direction === 'left' || direction === 'up' ? -1 : 1;
  let best: { index: number; distance: number } | null = null;
  places.forEach((place, index) => {
    const [dx, dy] = [place.x - here.x, place.y - here.y];
    const ahead = sign * (horizontal ? dx : dy);
    if (ahead <= 0) return;
    const distance = ahead + 2 * Math.abs(horizontal ? dy : dx);
    if (!best || distance < best.distance) best = { index, distance };
  });
  return (best as { index: number } | null)?.index ?? null;
}
