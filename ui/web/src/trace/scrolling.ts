/**
 * Which lines are in sight, and where: the arithmetic of lines that are all of one height, but for one below which
 * details may be open.
 */

/** CSS pixels; `--trace-row-height` in trace.css, which has higher lines where names and bars have no room side by side. */
export const ROW_HEIGHT = 24;

/** The band with the time axis, which stays above the rows. `--trace-axis-height` in trace.css. */
export const BAND_HEIGHT = 28;

/** Details that are open below a line; `--trace-inline-height` in trace.css. */
export const INLINE_HEIGHT = 320;

/** Lines beyond either edge, so that a quick scroll does not show a gap. */
const SPARE_ROWS = 12;

/** The line below which details are open, -1 for none. */
export type OpenLine = number;

/** Where a line begins, below the first one's beginning. */
export function lineTop(line: number, open: OpenLine, rowHeight = ROW_HEIGHT): number {
  return line * rowHeight + (open >= 0 && line > open ? INLINE_HEIGHT : 0);
}

/** The line at a height: with open details below it, of these too. */
export function lineAtHeight(height: number, open: OpenLine, rowHeight = ROW_HEIGHT): number {
  const below = open < 0 ? Infinity : (open + 1) * rowHeight;
  if (height < below) return Math.floor(height / rowHeight);
  return Math.max(open, Math.floor((height - INLINE_HEIGHT) / rowHeight));
}

/** The lines to draw, from `first` to before `last`. */
export function windowOf(top: number, height: number, count: number, open: OpenLine, rowHeight = ROW_HEIGHT): { first: number; last: number } {
  const first = Math.max(0, lineAtHeight(top, open, rowHeight) - SPARE_ROWS);
  const last = Math.min(count, lineAtHeight(top + height, open, rowHeight) + 1 + SPARE_ROWS);
  return { first: Math.min(first, last), last };
}

/** The nearest place to scroll to from which a line is in sight whole. `viewHeight` has the band in it. */
export function scrollTopFor(line: number, top: number, viewHeight: number, open: OpenLine, rowHeight = ROW_HEIGHT): number {
  if (line < 0) return top;
  const begin = lineTop(line, open, rowHeight);
  const height = Math.max(rowHeight, viewHeight - BAND_HEIGHT);
  const end = begin + rowHeight + (line === open ? Math.min(INLINE_HEIGHT, height - rowHeight) : 0);
  if (begin < top) return begin;
  return Math.max(top, end - height);
}

/** Where a key moves to from a line, or `null` where it does not move. */
export function move(key: string, line: number, count: number, height: number, rowHeight = ROW_HEIGHT): number | null {
  const page = Math.max(1, Math.floor(height / rowHeight) - 1);
  const clamp = (target: number) => Math.max(0, Math.min(count - 1, target));
  switch (key) {
    case 'ArrowDown':
      return clamp(line + 1);
    case 'ArrowUp':
      return clamp(line - 1);
    case 'PageDown':
      return clamp(line + page);
    case 'PageUp':
      return clamp(line - page);
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return null;
  }
}
