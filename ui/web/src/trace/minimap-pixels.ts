/** The whole trace in a strip of pixels: every row's bar, in lanes that many rows share. Drawn once, by pixel. */
import type { Stretch } from './axis';
import { at } from './groups';
import { packed, type ServiceFill } from './palette';
import type { Rows } from './view';

interface Properties {
  rows: Rows;
  fills: ServiceFill[];
  fail: string;
  /** By service: 1 where it is hidden. */
  hidden: Uint8Array;
  /** The rows that are looked at, from the first to before the last, and when they were. */
  first: number;
  last: number;
  whole: Stretch;
  /** Pixels. */
  width: number;
  height: number;
}

/** A pixel belongs to the row that came last in it; what failed comes after everything else. */
export function minimapPixels(properties: Properties): Uint32Array<ArrayBuffer> {
  const { rows, fills, fail, hidden, first, last, width, height } = properties;
  const pixels = new Uint32Array(width * height);
  const colours = fills.map(({ colour }) => packed(colour));
  const none = colours[0] ?? 0;
  for (let row = first; row < last; row++) {
    const service = at(rows.service, row);
    if (!hidden[service]) paint(properties, pixels, row, colours[service] ?? none);
  }
  const failed = packed(fail);
  for (let row = first; row < last; row++) {
    if (rows.error[row] && !hidden[at(rows.service, row)]) paint(properties, pixels, row, failed);
  }
  return pixels;
}

function paint(properties: Properties, pixels: Uint32Array, row: number, colour: number): void {
  const { rows, first, last, whole, width, height } = properties;
  const start = at(rows.start, row);
  if (start < 0) return;
  const factor = width / Math.max(1, whole.to - whole.from);
  const from = Math.max(0, Math.floor((start - whole.from) * factor));
  const to = Math.min(width, Math.ceil((start + Math.max(0, at(rows.duration, row)) - whole.from) * factor));
  if (from >= width || to < 0) return;
  const lanes = last - first;
  const lane = Math.floor(((row - first) / lanes) * height);
  // Few rows have lanes of more than a pixel, with a gap between them.
  const thick = Math.max(1, Math.min(4, Math.floor(height / lanes) - 1));
  for (let y = lane; y < Math.min(height, lane + thick); y++) {
    pixels.fill(colour, y * width + from, y * width + Math.max(from + 1, to));
  }
}
