/**
 * The call paths of a trace: rows with the same operations above them are one box, as wide as the time that they and all
 * below them had of their own. Nothing recurses: paths are as deep as traces.
 */
import { at } from './groups';
import type { Rows } from './view';

export interface FlameBox {
  /** The box that it is below; -1 at the top. Boxes come after those that they are below. */
  parent: number;
  depth: number;
  service: number;
  name: number;
  calls: number;
  errors: number;
  /** Microseconds of their own, and with everything below. */
  self: number;
  total: number;
  longest: number;
  slowest: number;
  /** From 0 to the whole of the top boxes' totals. */
  left: number;
}

/** Of the rows from `first` to before `last`; what a hidden service did is left out, what it called is not. */
export function flameOf(rows: Rows, first: number, last: number, hidden: Uint8Array): FlameBox[] {
  const boxes: FlameBox[] = [];
  const boxOf = new Int32Array(last - first).fill(-1);
  const known = new Map<string, number>();
  for (let row = first; row < last; row++) {
    const above = at(rows.parent, row);
    const parent = above < first ? -1 : at(boxOf, above - first);
    const service = at(rows.service, row);
    if (hidden[service]) {
      boxOf[row - first] = parent;
      continue;
    }
    const key = `${parent}/${service}/${at(rows.name, row)}`;
    const box = known.get(key) ?? newBox(boxes, parent, service, at(rows.name, row), row);
    known.set(key, box);
    boxOf[row - first] = box;
    count(boxes[box] as FlameBox, rows, row);
  }
  return placed(boxes);
}

function newBox(boxes: FlameBox[], parent: number, service: number, name: number, row: number): number {
  const depth = parent < 0 ? 0 : (boxes[parent] as FlameBox).depth + 1;
  boxes.push({ parent, depth, service, name, calls: 0, errors: 0, self: 0, total: 0, longest: -1, slowest: row, left: 0 });
  return boxes.length - 1;
}

function count(box: FlameBox, rows: Rows, row: number): void {
  box.calls += 1;
  box.errors += at(rows.error, row);
  box.self += at(rows.self, row);
  if (at(rows.duration, row) <= box.longest) return;
  box.longest = at(rows.duration, row);
  box.slowest = row;
}

/** Sums totals from below, then gives every box its place beside those before it. */
function placed(boxes: FlameBox[]): FlameBox[] {
  for (const box of boxes) box.total = box.self;
  for (let index = boxes.length - 1; index >= 0; index--) {
    const box = boxes[index] as FlameBox;
    const parent = boxes[box.parent];
    if (parent) parent.total += box.total;
  }
  const free = new Float64Array(boxes.length);
  let top = 0;
  boxes.forEach((box, index) => {
    if (box.parent < 0) {
      box.left = top;
      top += box.total;
    } else {
      box.left = at(free, box.parent);
      free[box.parent]! += box.total;
    }
    free[index] = box.left;
  });
  return boxes;
}

/** What a flame graph is as wide as. */
export function flameWidth(boxes: readonly FlameBox[]): number {
  return boxes.reduce((sum, { parent, total }) => (parent < 0 ? sum + total : sum), 0);
}
