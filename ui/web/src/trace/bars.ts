/**
 * Paints the bars of the lines in sight: when each row was, light where something below it ran and solid where only
 * itself did, what failed hatched, what the request waited for underlined, annotations as marks.
 */
import type { Stretch } from './axis';
import type { Marks } from './details';
import { at, type Groups } from './groups';
import { type Layout, lineAt } from './layout';
import type { Palette, ServiceFill } from './palette';
import type { Rows } from './view';

const BAR_HEIGHT = 12;
const BAR_TOP = 5;

/** Narrower bars are drawn so wide, to be seen at all. */
const LEAST_WIDTH = 2;

/** Shorter parts cannot be seen, and there may be many. */
const LEAST_PART = 0.25;

export interface Painting {
  rows: Rows;
  groups: Groups;
  layout: Layout;
  fills: ServiceFill[];
  palette: Palette;
  marks: Marks | null;
  stretch: Stretch;
  /** CSS pixels. */
  width: number;
}

type Context = CanvasRenderingContext2D;

/** Paints a line with its upper edge at `top`. */
export function paintLine(context: Context, painting: Painting, line: number, top: number): void {
  const { layout, groups } = painting;
  const item = lineAt(layout, groups, line);
  if ('row' in item) paintRow(context, painting, item.row, top);
  else if ('group' in item) paintGroup(context, painting, item.group, top);
}

function scale({ stretch, width }: Painting): (time: number) => number {
  const factor = width / Math.max(1e-9, stretch.to - stretch.from);
  return (time) => (time - stretch.from) * factor;
}

function paintRow(context: Context, painting: Painting, row: number, top: number): void {
  const { rows, fills, palette } = painting;
  const start = at(rows.start, row);
  if (start < 0) return;
  const x = scale(painting);
  const [left, right] = clipped(x(start), x(start + Math.max(0, at(rows.duration, row))), painting.width);
  if (right <= left) return;
  const fill = fills[at(rows.service, row)] ?? { colour: palette.none, hatched: false };
  const [y, width] = [top + BAR_TOP, right - left];
  context.fillStyle = fill.colour;
  context.globalAlpha = 0.4;
  context.fillRect(left, y, width, BAR_HEIGHT);
  context.globalAlpha = 1;
  const own = ownParts(painting, row, left, right);
  for (const [from, to] of own) context.fillRect(from, y, to - from, BAR_HEIGHT);
  if (fill.hatched) hatch(context, palette.hatch, left, y, width);
  if (rows.error[row]) paintError(context, palette, left, y, width);
  if (at(rows.critical, row) > 0) paintCritical(context, palette, own, y);
  paintMarks(context, painting, row, y);
}

/** The pixels of a bar in which nothing below it ran. Children are in order of time, so one pass is enough. */
function ownParts(painting: Painting, row: number, left: number, right: number): [number, number][] {
  const { rows } = painting;
  const x = scale(painting);
  const parts: [number, number][] = [];
  let free = left;
  for (let child = row + 1; child < at(rows.end, row); child = at(rows.end, child)) {
    const start = at(rows.start, child);
    if (start < 0 || at(rows.duration, child) <= 0) continue;
    const from = x(start);
    if (from >= right) break;
    const to = x(start + at(rows.duration, child));
    if (to <= free) continue;
    if (from > free + LEAST_PART) parts.push([free, from]);
    free = to;
  }
  if (free < right) parts.push([free, right]);
  return parts;
}

/** All of a group's rows in one line, each where it was. */
function paintGroup(context: Context, painting: Painting, group: number, top: number): void {
  const { rows, groups, fills, palette } = painting;
  const x = scale(painting);
  const first = at(groups.members, at(groups.begin, group));
  context.fillStyle = fills[at(rows.service, first)]?.colour ?? palette.none;
  const end = at(groups.begin, group + 1);
  let drawn = -1;
  for (let place = at(groups.begin, group); place < end; place++) {
    const row = at(groups.members, place);
    const start = at(rows.start, row);
    if (start < 0) continue;
    const [left, right] = clipped(x(start), x(start + Math.max(0, at(rows.duration, row))), painting.width);
    // Of many in one pixel one is enough.
    if (right <= left || right <= drawn + 0.5) continue;
    context.fillRect(Math.max(left, drawn), top + BAR_TOP + 3, right - Math.max(left, drawn), BAR_HEIGHT - 6);
    drawn = right;
  }
}

function clipped(from: number, to: number, width: number): [number, number] {
  if (to < 0 || from > width) return [0, 0];
  const left = Math.max(-1, from);
  return [left, Math.min(width + 1, Math.max(to, left + LEAST_WIDTH))];
}

function hatch(context: Context, colour: string, left: number, top: number, width: number): void {
  context.save();
  context.beginPath();
  context.rect(left, top, width, BAR_HEIGHT);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.beginPath();
  for (let from = left - BAR_HEIGHT; from < left + width; from += 6) {
    context.moveTo(from, top + BAR_HEIGHT);
    context.lineTo(from + BAR_HEIGHT, top);
  }
  context.stroke();
  context.restore();
}

function paintError(context: Context, palette: Palette, left: number, top: number, width: number): void {
  hatch(context, palette.fail, left, top, width);
  context.strokeStyle = palette.fail;
  context.lineWidth = 1.5;
  context.strokeRect(left + 0.75, top + 0.75, Math.max(0.5, width - 1.5), BAR_HEIGHT - 1.5);
}

/** Two pixels below what was its own, with a halo that parts them from the bar. */
function paintCritical(context: Context, palette: Palette, own: [number, number][], top: number): void {
  for (const [from, to] of own) {
    context.fillStyle = palette.background;
    context.fillRect(from - 1, top + BAR_HEIGHT - 1, to - from + 2, 4);
    context.fillStyle = palette.critical;
    context.fillRect(from, top + BAR_HEIGHT, Math.max(1, to - from), 2);
  }
}

function paintMarks(context: Context, painting: Painting, row: number, top: number): void {
  const { marks, palette, width } = painting;
  if (!marks) return;
  const x = scale(painting);
  for (let place = at(marks.begin, row); place < at(marks.begin, row + 1); place++) {
    const left = Math.round(x(at(marks.at, place)));
    if (left < 0 || left > width) continue;
    context.fillStyle = palette.background;
    context.fillRect(left - 1.5, top - 2, 3, BAR_HEIGHT + 4);
    context.fillStyle = palette.text;
    context.fillRect(left - 0.5, top - 2, 1, BAR_HEIGHT + 4);
  }
}

/** Clears a canvas and makes it as large as its place, sharp on any screen. */
export function prepareCanvas(canvas: HTMLCanvasElement, width: number, height: number): Context | null {
  const ratio = devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext('2d');
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  context?.clearRect(0, 0, width, height);
  return context;
}

