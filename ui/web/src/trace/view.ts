/**
 * A trace as the server hands it out: columns, one entry a row, in the order of the timeline. Here they are typed
 * arrays, which the worker that reads the answer gives to the page without copying.
 */
import type { Written } from '../api/http';
import type { Note as AnsweredNote, TraceView as Answered } from '../api/schema';

/** What to know before reading a trace. */
export type Note = Written<AnsweredNote>;

/** The answer of `GET /api/v2/traceView/{traceId}`. */
export type TraceViewAnswer = Written<Answered>;

/** The fields of all rows; microseconds, -1 for none, indexes into the tables of names. */
export interface Rows {
  count: number;
  /** Identifiers of spans, as numbers. */
  id: BigUint64Array;
  /** -1 at the top. Parents come before their children. */
  parent: Int32Array;
  depth: Int32Array;
  service: Int32Array;
  name: Int32Array;
  version: Int32Array;
  /** 0 local, 1 client, 2 server, 3 producer, 4 consumer. */
  kind: Uint8Array;
  /** Since the trace's start; -1 where nobody said. */
  start: Float64Array;
  duration: Float64Array;
  /** In which it ran and nothing below it did. */
  self: Float64Array;
  /** In which the request waited for it and nothing below it. */
  critical: Float64Array;
  error: Uint8Array;
  /** By how much it was moved because a clock differs; above 0 is later. */
  skew: Float64Array;
  /** The row after the last one below it. */
  end: Int32Array;
  /** Index of the service that was called and told nothing. */
  remote: Int32Array;
}

export interface TraceView {
  traceId: string;
  /** Microseconds since the epoch; 0 where no span has a time. */
  start: number;
  /** Microseconds, at least 1. */
  duration: number;
  spanCount: number;
  /** The traces of an uploaded file, the first 1,000, and how many there are. */
  traceIds: string[];
  traceCount: number;
  services: string[];
  names: string[];
  versions: string[];
  notes: Note[];
  noteCount: number;
  rows: Rows;
}

/** Throws where columns differ in length: nothing that is drawn of them could be right. */
export function decodeView(answer: TraceViewAnswer): TraceView {
  const { rows, traceIds = [], notes } = answer;
  const count = rows.id.length;
  for (const [column, values] of Object.entries(rows)) {
    if (values.length !== count) throw new Error(`Column ${column} has ${values.length} of ${count} rows.`);
  }
  return {
    traceId: answer.traceId,
    start: answer.start,
    duration: Math.max(1, answer.duration),
    spanCount: answer.spanCount,
    traceIds,
    traceCount: answer.traceCount ?? traceIds.length,
    services: answer.services,
    names: answer.names,
    versions: answer.versions,
    notes,
    noteCount: answer.noteCount,
    rows: {
      count,
      id: BigUint64Array.from(rows.id, (id) => BigInt(`0x${id}`)),
      parent: Int32Array.from(rows.parent),
      depth: Int32Array.from(rows.depth),
      service: Int32Array.from(rows.service),
      name: Int32Array.from(rows.name),
      version: Int32Array.from(rows.version),
      kind: Uint8Array.from(rows.kind),
      start: Float64Array.from(rows.start),
      duration: Float64Array.from(rows.duration),
      self: Float64Array.from(rows.self),
      critical: Float64Array.from(rows.critical),
      error: Uint8Array.from(rows.error),
      skew: Float64Array.from(rows.skew),
      end: Int32Array.from(rows.end),
      remote: Int32Array.from(rows.remote),
    },
  };
}

/** What of a view is handed over instead of copied. */
export function buffersOf(view: TraceView): ArrayBuffer[] {
  const columns = Object.values(view.rows).filter((column) => typeof column !== 'number');
  return columns.map((column) => column.buffer as ArrayBuffer);
}

/** As the address and the API have it: 16 hexadecimal digits. */
export function idOf(rows: Rows, row: number): string {
  return (rows.id[row] ?? 0n).toString(16).padStart(16, '0');
}

/** The row of a span identifier, -1 where there is none. */
export function rowOf(rows: Rows, id: string | null): number {
  if (id === null || !/^[0-9a-f]{1,16}$/i.test(id)) return -1;
  return rows.id.indexOf(BigInt(`0x${id}`));
}

/** Microseconds since the trace's start; `undefined` where nobody said. */
export function known(value: number | undefined): number | undefined {
  return value === undefined || value < 0 ? undefined : value;
}
