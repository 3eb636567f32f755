/**
 * From the spans of a trace to the rows of its page. Every step is linear in the spans, but for sorting siblings,
 * and none recurses: a trace may be as deep as it is long.
 *
 * A row is everything that was reported under one span identifier: usually a client's half and a server's. Spans
 * are shown at the times that they were reported with; clocks that disagree are not corrected here.
 */
import type { Kind, Span } from '../api';

export interface Row {
  /** The span identifier. */
  id: string;
  /** What was reported under it: who began the span before who joined it. Never empty. */
  spans: Span[];
  parentId: string | undefined;
  /** The server's name for itself where it reported, and of a call that no server reported, who was called. */
  serviceName: string;
  name: string;
  kind: Kind | undefined;
  /** Microseconds since the epoch. */
  timestamp: number | undefined;
  /** Microseconds. */
  duration: number | undefined;
  /** A span of it has the tag `error`. */
  failed: boolean;
  /** 0 for a row without a parent in this trace. */
  depth: number;
  /** It names a parent that was not reported, or that is below itself. */
  orphaned: boolean;
  /** Index of the first row that is not below this one. Its children follow it directly. */
  end: number;
}

export interface Trace {
  traceId: string;
  /** Depth first, siblings by time: the order of the page. */
  rows: Row[];
  spanCount: number;
  /** Rows, not spans: a call that failed on both sides failed once. */
  failedCount: number;
  orphanedCount: number;
  /** Deepest row's depth plus one. */
  depth: number;
  /** Of those who reported and those who were called, with the number of their rows, most first. */
  services: { name: string; rows: number }[];
  /** Microseconds since the epoch of the first row's begin; `undefined` where no span has a time. */
  start: number | undefined;
  /** Microseconds from there to the last end, at least 1. */
  duration: number;
}

export const UNKNOWN_SERVICE = 'unknown service';

export function buildTrace(traceId: string, spans: readonly Span[]): Trace {
  const rows = group(spans).map(rowOf);
  const ordered = order(rows);
  let start = Infinity;
  let end = -Infinity;
  for (const { timestamp, duration } of spans) {
    if (timestamp === undefined) continue;
    start = Math.min(start, timestamp);
    end = Math.max(end, timestamp + (duration ?? 0));
  }
  return {
    traceId,
    rows: ordered,
    spanCount: spans.length,
    failedCount: ordered.reduce((count, row) => count + Number(row.failed), 0),
    orphanedCount: ordered.reduce((count, row) => count + Number(row.orphaned), 0),
    depth: ordered.reduce((depth, row) => Math.max(depth, row.depth + 1), 0),
    services: countServices(ordered),
    start: start === Infinity ? undefined : start,
    duration: Math.max(1, end - start || 0),
  };
}

/** Spans by identifier, in the order of their first. */
function group(spans: readonly Span[]): Span[][] {
  const groups = new Map<string, Span[]>();
  for (const span of spans) {
    const known = groups.get(span.id);
    if (known) known.push(span);
    else groups.set(span.id, [span]);
  }
  return [...groups.values()];
}

/** Who began a span before who joined it, clients before servers. */
function rank(span: Span): number {
  return (span.shared ? 2 : 0) + (span.kind === 'SERVER' || span.kind === 'CONSUMER' ? 1 : 0);
}

function rowOf(group: Span[]): Row {
  const spans = group.length === 1 ? group : group.sort((a, b) => rank(a) - rank(b));
  const first = spans[0] as Span;
  const server = spans.find((span) => span.kind === 'SERVER') ?? first;
  const timed = spans.find((span) => span.timestamp !== undefined && span.duration !== undefined);
  const begun = timed ?? spans.find((span) => span.timestamp !== undefined);
  return {
    id: first.id,
    spans,
    parentId: spans.find((span) => span.parentId !== undefined && span.parentId !== span.id)?.parentId,
    serviceName: server.localEndpoint?.serviceName ?? first.localEndpoint?.serviceName ?? UNKNOWN_SERVICE,
    name: server.name ?? spans.find((span) => span.name !== undefined)?.name ?? 'unnamed span',
    kind: server.kind ?? first.kind,
    timestamp: begun?.timestamp,
    duration: begun?.duration,
    failed: spans.some((span) => span.tags?.['error'] !== undefined),
    depth: 0,
    orphaned: false,
    end: 0,
  };
}

/** Siblings by time, those without one first, as they came where that does not decide. */
function byTime(a: Row, b: Row): number {
  return (a.timestamp ?? 0) - (b.timestamp ?? 0);
}

/** Sets depth, end and orphaned, and the service of calls that nobody answered. */
function order(rows: Row[]): Row[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const children = new Map<string, Row[]>();
  const roots: Row[] = [];
  for (const row of rows) {
    const parent = row.parentId === undefined ? undefined : byId.get(row.parentId);
    row.orphaned = row.parentId !== undefined && !parent;
    if (!parent) {
      roots.push(row);
      continue;
    }
    const siblings = children.get(parent.id);
    if (siblings) siblings.push(row);
    else children.set(parent.id, [row]);
  }
  for (const siblings of children.values()) siblings.sort(byTime);
  // The one that really began the trace comes first, whatever the clocks say.
  roots.sort((a, b) => Number(a.orphaned) - Number(b.orphaned) || byTime(a, b));
  const ordered: Row[] = [];
  const seen = new Set<Row>();
  for (const root of roots) walk(root, children, ordered, seen);
  // What is left is below itself: cut where it comes first.
  for (const row of rows) {
    if (seen.has(row)) continue;
    row.orphaned = true;
    walk(row, children, ordered, seen);
  }
  for (const row of ordered) {
    const [span] = row.spans;
    const answered = row.spans.length > 1 || children.has(row.id);
    if (!answered && span?.kind === 'CLIENT') row.serviceName = span.remoteEndpoint?.serviceName ?? row.serviceName;
  }
  return ordered;
}

/** Appends a row and everything below it that was not seen. */
function walk(root: Row, children: Map<string, Row[]>, ordered: Row[], seen: Set<Row>): void {
  const open: Row[] = [];
  const pending: { row: Row; depth: number }[] = [{ row: root, depth: 0 }];
  const closeTo = (depth: number) => {
    while (open.length > depth) (open.pop() as Row).end = ordered.length;
  };
  while (pending.length > 0) {
    const { row, depth } = pending.pop() as { row: Row; depth: number };
    if (seen.has(row)) continue;
    seen.add(row);
    closeTo(depth);
    row.depth = depth;
    ordered.push(row);
    open.push(row);
    const below = children.get(row.id) ?? [];
    for (let index = below.length - 1; index >= 0; index--) {
      pending.push({ row: below[index] as Row, depth: depth + 1 });
    }
  }
  closeTo(0);
}

function countServices(rows: readonly Row[]): { name: string; rows: number }[] {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(row.serviceName, (counts.get(row.serviceName) ?? 0) + 1);
  const services = [...counts].map(([name, rows]) => ({ name, rows }));
  return services.sort((a, b) => b.rows - a.rows || (a.name < b.name ? -1 : 1));
}

/** Indexes of the rows that are to be seen: none below a collapsed one. */
export function visibleRows(rows: readonly Row[], collapsed: ReadonlySet<string>): number[] {
  const visible: number[] = [];
  let index = 0;
  while (index < rows.length) {
    const row = rows[index] as Row;
    visible.push(index);
    index = collapsed.has(row.id) ? row.end : index + 1;
  }
  return visible;
}

/** Index of the row above, or -1 for a row without one. */
export function parentIndex(rows: readonly Row[], index: number): number {
  const depth = rows[index]?.depth ?? 0;
  let above = index - 1;
  while (above >= 0 && (rows[above] as Row).depth >= depth) above--;
  return depth === 0 ? -1 : above;
}

/** Which of the visible rows a row is: itself, or the nearest above that it is folded away into. */
export function activePosition(rows: readonly Row[], visible: readonly number[], id: string | null): number {
  const index = rows.findIndex((row) => row.id === id);
  return Math.max(0, visible.findLastIndex((shown) => shown <= index));
}
