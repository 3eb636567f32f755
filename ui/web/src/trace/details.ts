/**
 * What the columns leave out and the whole page uses: the text of tags and annotations, to find it, and when
 * annotations were, to mark them on bars. Made in the background from the spans as they are stored.
 */
import type { Span } from '../api';
import type { TraceView } from './view';

/** Spans of longer traces are read only when somebody asks for it: until then names and identifiers are found, tags are not. */
export const SPANS_MAX = 20_000;

/** A row's text beyond this many characters is not looked through. */
const TEXT_MAX = 20_000;

/** What is held of one trace: characters of all rows, and annotations. */
const BOUNDS = { characters: 100_000_000, annotations: 2_000_000 };

/** When annotations were, row by row. */
export interface Marks {
  /** By row: where its times begin; one more for the end. */
  begin: Int32Array;
  /** Microseconds since the trace's start, clocks corrected. */
  at: Float64Array;
}

/** Takes the spans of a trace one by one. */
export class DetailsReader {
  /** By row, in lower case. */
  readonly texts: string[];
  /** Spans that were taken. */
  spans = 0;
  readonly #view: TraceView;
  readonly #bounds: typeof BOUNDS;
  readonly #rowOfId = new Map<bigint, number>();
  readonly #times = new Map<number, number[]>();
  #characters = 0;
  #annotations = 0;

  constructor(view: TraceView, bounds: typeof BOUNDS = BOUNDS) {
    const { id, count } = view.rows;
    this.#view = view;
    this.#bounds = bounds;
    this.texts = new Array<string>(count).fill('');
    for (let row = count - 1; row >= 0; row--) this.#rowOfId.set(id[row] ?? 0n, row);
  }

  /** Whether there is room for another one. */
  take(span: Span): boolean {
    const { rows, start } = this.#view;
    this.spans += 1;
    const row = this.#rowOfId.get(BigInt(`0x${span.id}`));
    if (row === undefined) return true;
    const { tags = {}, annotations = [] } = span;
    const parts = [...Object.entries(tags).map(([key, value]) => `${key}=${value}`), ...annotations.map(({ value }) => value)];
    if (parts.length === 0) return true;
    const text = `${parts.join('\n').slice(0, TEXT_MAX).toLowerCase()}\n`;
    this.texts[row] += text;
    this.#characters += text.length;
    if (annotations.length > 0) {
      const skew = rows.skew[row] ?? 0;
      const known = this.#times.get(row);
      const times = annotations.map(({ timestamp }) => timestamp - start + skew);
      if (known) for (const time of times) known.push(time);
      else this.#times.set(row, times);
      this.#annotations += times.length;
    }
    return this.#characters < this.#bounds.characters && this.#annotations < this.#bounds.annotations;
  }

  marks(): Marks {
    const count = this.#view.rows.count;
    const begin = new Int32Array(count + 1);
    const at = new Float64Array(this.#annotations);
    let next = 0;
    for (let row = 0; row < count; row++) {
      for (const time of this.#times.get(row) ?? []) at[next++] = time;
      begin[row + 1] = next;
    }
    return { begin, at };
  }
}
