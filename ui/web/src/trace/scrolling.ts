/** Which rows are in sight, and which is next: the arithmetic of rows that are all of one height. */

/** CSS pixels; `--row-height` in trace.css. */
export const ROW_HEIGHT = 28;

/** The band with the time axis, which stays above the rows. `--axis-height` in trace.css. */
export const BAND_HEIGHT = 28;

/** Rows beyond either edge, so that a quick scroll does not show a gap. */
const SPARE_ROWS = 12;

/** The rows to draw, from `first` to before `last`. */
export function windowOf(top: number, height: number, count: number): { first: number; last: number } {
  const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - SPARE_ROWS);
  const last = Math.min(count, Math.ceil((top + height) / ROW_HEIGHT) + SPARE_ROWS);
  return { first: Math.min(first, last), last };
}

/** The nearest place to scroll to from which a row is in sight whole. */
export function scrollTopFor(position: number, top: number, viewHeight: number): number {
  if (position < 0) return top;
  const begin = position * ROW_HEIGHT;
  const height = Math.max(ROW_HEIGHT, viewHeight - BAND_HEIGHT);
  if (begin < top) return begin;
  return Math.max(top, begin + ROW_HEIGHT - height);
}

/** Where a key moves to from a row, or `null` where it does not move. */
export function move(key: string, position: number, count: number, height: number): number | null {
  const page = Math.max(1, Math.floor(height / ROW_HEIGHT) - 1);
  const clamp = (target: number) => Math.max(0, Math.min(count - 1, target));
  switch (key) {
    case 'ArrowDown':
    case 'j':
      return clamp(position + 1);
    case 'ArrowUp':
    case 'k':
      return clamp(position - 1);
    case 'PageDown':
      return clamp(position + page);
    case 'PageUp':
      return clamp(position - page);
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return null;
  }
}
