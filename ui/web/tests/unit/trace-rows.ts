/** Rows for tests, from an outline. */
import { decodeView, type TraceView, type TraceViewAnswer } from '../../src/trace/view';

export interface Given {
  /** `service name`. */
  name: string;
  /** How many rows it is below. */
  depth: number;
  start?: number;
  duration?: number;
  self?: number;
  critical?: number;
  error?: boolean;
}

/** The answer that a server would give; identifiers are 1, 2, 3… */
export function answerOf(given: readonly Given[]): TraceViewAnswer {
  const services: string[] = [];
  const names: string[] = [];
  const index = (table: string[], text: string) => (table.includes(text) ? table.indexOf(text) : table.push(text) - 1);
  const above: number[] = [];
  const parent = given.map(({ depth }, row) => {
    above[depth] = row;
    return depth === 0 ? -1 : (above[depth - 1] ?? -1);
  });
  const end = given.map(({ depth }, row) => {
    const next = given.findIndex((other, place) => place > row && other.depth <= depth);
    return next < 0 ? given.length : next;
  });
  const column = (of: (row: Given) => number) => given.map(of);
  return {
    traceId: 't',
    start: 1_000_000,
    duration: 100,
    spanCount: given.length,
    services,
    names,
    versions: [],
    notes: [],
    noteCount: 0,
    rows: {
      id: given.map((_, row) => (row + 1).toString(16).padStart(16, '0')),
      parent,
      end,
      depth: column(({ depth }) => depth),
      service: column(({ name }) => index(services, name.split(' ')[0] ?? '')),
      name: column(({ name }) => index(names, name.split(' ')[1] ?? '')),
      version: column(() => -1),
      kind: column(() => 0),
      start: column(({ start = 0 }) => start),
      duration: column(({ duration = 10 }) => duration),
      self: column(({ self = 10 }) => self),
      critical: column(({ critical = 0 }) => critical),
      error: column(({ error }) => Number(error ?? false)),
      skew: column(() => 0),
      remote: column(() => -1),
    },
  };
}

export function viewOf(...given: Given[]): TraceView {
  return decodeView(answerOf(given));
}

/** A row below `depth` others, by an outline such as `'. . db select'`. */
export function row(outline: string, more: Partial<Given> = {}): Given {
  const [dots = ''] = /^(\. )*/.exec(outline) ?? [];
  return { name: outline.slice(dots.length), depth: dots.length / 2, ...more };
}
