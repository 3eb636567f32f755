/**
 * What the columns leave out and the whole page uses: the text of tags and annotations, to find it, and when
 * annotations were, to mark them on bars. Made in the background from the spans as they are stored.
 */
import type { Span } from '../api';
import type { TraceView } from './view';

/** Spans of longer traces are not loaded all: names and identifiers are found there, tags are not. */
export const SPANS_MAX = 20_000;

/** A row's text beyond this many characters is not looked through. */
const TEXT_MAX = 20_000;

/** When annotations were, row by row. */
export interface Marks {
  /** By row: where its times begin; one more for the end. */
  begin: Int32Array;
  /** Microseconds since the trace's start, clocks corrected. */
  at: Float64Array;
}

export function detailsOf(view: TraceView, spans: readonly Span[]): { texts: string[]; marks: Marks } {
  const { rows } = view;
  const rowOfId = new Map<string, number>();
  for (let row = rows.count - 1; row >= 0; row--) rowOfId.set((rows.id[row] ?? 0n).toString(16), row);
  const texts = new Array<string>(rows.count).fill('');
  const times = new Map<number, number[]>();
  for (const span of spans) {
    const row = rowOfId.get(span.id.replace(/^0+/, ''));
    if (row === undefined) continue;
    const annotations = span.annotations ?? [];
    const tags = Object.entries(span.tags ?? {}).map(([key, value]) => `${key}=${value}`);
    const text = [...tags, ...annotations.map(({ value }) => value)].join('\n').slice(0, TEXT_MAX).toLowerCase();
    texts[row] += `${text}\n`;
    if (annotations.length === 0) continue;
    const corrected = annotations.map(({ timestamp }) => timestamp - view.start + (rows.skew[row] ?? 0));
    times.set(row, [...(times.get(row) ?? []), ...corrected]);
  }
  return { texts, marks: marksOf(rows.count, times) };
}

function marksOf(count: number, times: Map<number, number[]>): Marks {
  const begin = new Int32Array(count + 1);
  const all: number[] = [];
  for (let row = 0; row < count; row++) {
    for (const time of times.get(row) ?? []) all.push(time);
    begin[row + 1] = all.length;
  }
  return { begin, at: Float64Array.from(all) };
}
