/**
 * The rows of a trace from its spans, for servers that have no views of traces yet: clocks are not corrected, and of the
 * critical path nothing is known. Goes when every server that this app is shipped with has them, and `tree.ts` with it.
 */
import type { Kind, Span } from '../api';
import { buildTrace, type Row, UNKNOWN_SERVICE } from './tree';
import type { Note, TraceViewAnswer } from './view';

const KINDS: Record<Kind, number> = { CLIENT: 1, SERVER: 2, PRODUCER: 3, CONSUMER: 4 };

export function viewOfSpans(traceId: string, spans: readonly Span[]): TraceViewAnswer {
  const trace = buildTrace(traceId, spans);
  const { rows, start = 0 } = trace;
  const [services, names] = [new Table(), new Table()];
  const merged = rows.filter((row) => row.spans.length > 1).length;
  const orphans = rows.flatMap(({ orphaned, parentId = '' }, row): Note[] => (orphaned ? [{ kind: 'missing_parent', row, parentId }] : []));
  const notes: Note[] = merged > 0 ? [{ kind: 'merged', rows: merged }, ...orphans] : orphans;
  const column = (of: (row: Row, index: number) => number) => rows.map(of);
  const none = column(() => -1);
  const zero = column(() => 0);
  return {
    traceId,
    start,
    duration: trace.duration,
    spanCount: trace.spanCount,
    notes,
    rows: {
      id: rows.map(({ id }) => id),
      parent: parentsOf(rows),
      depth: column(({ depth }) => depth),
      service: column(({ serviceName }) => (serviceName === UNKNOWN_SERVICE ? -1 : services.index(serviceName))),
      name: column(({ name }) => names.index(name)),
      version: none,
      kind: column(({ kind }) => (kind ? KINDS[kind] : 0)),
      start: column(({ timestamp }) => (timestamp === undefined ? -1 : timestamp - start)),
      duration: column(({ duration = -1 }) => duration),
      self: column((row, index) => selfOf(rows, row, index)),
      critical: zero,
      error: column(({ failed }) => Number(failed)),
      skew: zero,
      end: column(({ end }) => end),
      remote: none,
    },
    services: services.texts,
    names: names.texts,
    versions: [],
  };
}

class Table {
  readonly texts: string[] = [];
  private readonly indexes = new Map<string, number>();

  index(text: string): number {
    const known = this.indexes.get(text);
    if (known !== undefined) return known;
    this.indexes.set(text, this.texts.length);
    return this.texts.push(text) - 1;
  }
}

function parentsOf(rows: readonly Row[]): number[] {
  const above: number[] = [];
  return rows.map(({ depth }, index) => {
    above[depth] = index;
    return depth === 0 ? -1 : (above[depth - 1] ?? -1);
  });
}

/** Microseconds in which a row ran and nothing below it did. */
function selfOf(rows: readonly Row[], { timestamp, duration = 0, end }: Row, index: number): number {
  if (timestamp === undefined) return 0;
  let [self, free] = [duration, timestamp];
  for (let child = index + 1; child < end; child = rows[child]?.end ?? end) {
    const { timestamp: start, duration: took = 0 } = rows[child] ?? {};
    if (start === undefined) continue;
    const until = Math.min(start + took, timestamp + duration);
    const from = Math.max(start, free);
    if (until > from) {
      self -= until - from;
      free = until;
    }
  }
  return self;
}
