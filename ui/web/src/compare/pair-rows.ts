/**
 * Two traces side by side as rows: the server aligns them (`/api/v2/traces/diff`), their spans say when each began.
 * Calls of the same kind that follow each other are one row until it is opened. Everything is linear in spans, and
 * nothing recurses: traces may be 100,000 deep.
 */
import type { Span } from '../api';
import type { SpanDiff, TraceDiff } from '../api/schema';

/** Side by side with a sibling, or by itself, after one another. */
export type Ordering = 'parallel' | 'serial';

/** One side of a row. */
export interface RowSide {
  /** Spans. */
  count: number;
  /** Of all of them together; absent where none has one. */
  duration?: number;
  /** Where the bar begins and ends, microseconds after the entry span began, moved to where the parent is in A. */
  from?: number;
  to?: number;
  ordering?: Ordering;
  failed: boolean;
}

export type ChangeWord = 'added' | 'removed' | 'count' | 'serialized' | 'parallelized' | 'self' | 'inherits' | 'inherits_less' | 'fails' | 'recovers';

export interface PairRow {
  /** Where the first of its spans is in the answer. */
  index: number;
  span: SpanDiff;
  depth: number;
  /** Of the first of several spans that can be one row: how many they are. */
  size: number;
  /** Shows its spans one by one. */
  open: boolean;
  a: RowSide;
  b: RowSide;
  /** B less A. */
  durationChange?: number;
  selfChange: number;
  /** Of the time on the critical path; what is below left out. Those of all rows add up to the whole change. */
  pathChange: number;
  words: ChangeWord[];
}

/** Less than this share of the longer trace is not worth a word. */
export const CHANGE_MIN_SHARE = 0.01;

/** Siblings that overlap by less than this share of the shorter one are one after the other. */
const OVERLAP_MIN_SHARE = 0.05;

/** Where spans of one side are: begin and end, microseconds since its entry span began. */
interface Placed {
  from: number;
  to: number;
}

type Side = 'baseline' | 'candidate';

/** Rows in the order of the answer. `open` holds the indices of the groups that are shown one by one. */
export function pairRows(diff: TraceDiff, a: readonly Span[], b: readonly Span[], open: ReadonlySet<number>): PairRow[] {
  const { spans } = diff;
  const placed = { baseline: placedSpans(spans, 'baseline', startsOf(a)), candidate: placedSpans(spans, 'candidate', startsOf(b)) };
  const order = { baseline: orderings(spans, placed.baseline), candidate: orderings(spans, placed.candidate) };
  const shifted = aligned(spans, placed.baseline, placed.candidate);
  const least = CHANGE_MIN_SHARE * Math.max(diff.baseline.duration ?? 0, diff.candidate.duration ?? 0);
  const groups = groupsOf(spans);
  const rows: PairRow[] = [];
  const hidden = new Uint8Array(spans.length);
  for (const [index, span] of spans.entries()) {
    const group = groups[index] ?? [];
    const first = group[0] ?? index;
    const isGrouped = group.length > 1 && !open.has(first);
    const under = span.parent != null && hidden[span.parent] === 1;
    // What is below a closed group is not shown, nor are its spans but the first.
    if (under || (isGrouped && index !== first)) {
      hidden[index] = 1;
      continue;
    }
    if (isGrouped) hidden[index] = 1;
    const members = isGrouped ? group : [index];
    const side = (name: Side) => sideOf(members, spans, name, name === 'baseline' ? placed.baseline : shifted, order[name]);
    const row = rowOf(index, members, spans, side('baseline'), side('candidate'));
    const size = index === first ? group.length : 1;
    rows.push({ ...row, size, open: size > 1 && !isGrouped, words: wordsOf(row, least) });
  }
  return rows;
}

/** When each span began, by identifier and kind, and by identifier alone. */
function startsOf(spans: readonly Span[]): Map<string, number> {
  const starts = new Map<string, number>();
  for (const { id, kind, timestamp } of spans) {
    if (timestamp === undefined) continue;
    if (!starts.has(id)) starts.set(id, timestamp);
    starts.set(`${id} ${kind ?? ''}`, timestamp);
  }
  return starts;
}

/** Where each span of a side is; one that begins before its parent was told by another clock, and is put into the middle. */
function placedSpans(spans: readonly SpanDiff[], side: Side, starts: ReadonlyMap<string, number>): (Placed | undefined)[] {
  const placed: (Placed | undefined)[] = [];
  let origin: number | undefined;
  for (const span of spans) {
    const times = span[side];
    const start = times ? (starts.get(`${times.id} ${span.spanKind ?? ''}`) ?? starts.get(times.id)) : undefined;
    if (!times || start === undefined || times.duration == null) {
      placed.push(undefined);
      continue;
    }
    origin ??= start;
    const parent = span.parent == null ? undefined : placed[span.parent];
    const [from, took] = [start - origin, times.duration];
    const isSkewed = parent && from < parent.from && took <= parent.to - parent.from;
    const moved = isSkewed ? parent.from + (parent.to - parent.from - took) / 2 : from;
    placed.push({ from: moved, to: moved + took });
  }
  return placed;
}

/** B's spans moved so that each begins as long after its parent as it does in B, with the parent where A has it. */
function aligned(spans: readonly SpanDiff[], a: readonly (Placed | undefined)[], b: readonly (Placed | undefined)[]): (Placed | undefined)[] {
  const moved: (Placed | undefined)[] = [];
  for (const [index, span] of spans.entries()) {
    const own = b[index];
    const parent = span.parent ?? -1;
    const parentInB = b[parent];
    if (!own || !parentInB) {
      moved.push(own);
      continue;
    }
    const by = (a[parent] ?? moved[parent] ?? parentInB).from - parentInB.from;
    moved.push({ from: own.from + by, to: own.to + by });
  }
  return moved;
}

/** Whether each span runs beside a sibling; nothing of one that has none. */
function orderings(spans: readonly SpanDiff[], placed: readonly (Placed | undefined)[]): (Ordering | undefined)[] {
  const children = new Map<number, number[]>();
  for (const [index, { parent }] of spans.entries()) {
    if (parent == null || !placed[index]) continue;
    const siblings = children.get(parent);
    if (siblings) siblings.push(index);
    else children.set(parent, [index]);
  }
  const found: (Ordering | undefined)[] = new Array(spans.length).fill(undefined);
  for (const siblings of children.values()) {
    if (siblings.length < 2) continue;
    const sorted = siblings.flatMap((index) => (placed[index] ? [{ index, ...placed[index] }] : [])).sort((x, y) => x.from - y.from);
    let longest: (typeof sorted)[number] | undefined;
    for (const one of sorted) {
      found[one.index] ??= 'serial';
      if (longest && overlap(longest, one)) {
        found[one.index] = 'parallel';
        found[longest.index] = 'parallel';
      }
      if (!longest || one.to > longest.to) longest = one;
    }
  }
  return found;
}

function overlap(x: Placed, y: Placed): boolean {
  const common = Math.min(x.to, y.to) - Math.max(x.from, y.from);
  return common > OVERLAP_MIN_SHARE * Math.min(x.to - x.from, y.to - y.from);
}

/** Of each span, the siblings of its operation, itself among them; spans without such have none. */
function groupsOf(spans: readonly SpanDiff[]): number[][] {
  const byKey = new Map<string, number[]>();
  const groups: number[][] = [];
  for (const [index, { parent, serviceName, spanName, spanKind }] of spans.entries()) {
    if (parent == null) {
      groups.push([index]);
      continue;
    }
    const key = JSON.stringify([parent, serviceName, spanName, spanKind ?? '']);
    let group = byKey.get(key);
    if (!group) byKey.set(key, (group = []));
    group.push(index);
    groups.push(group);
  }
  return groups;
}

function sideOf(members: readonly number[], spans: readonly SpanDiff[], name: Side, placed: readonly (Placed | undefined)[], order: readonly (Ordering | undefined)[]): RowSide {
  const side: RowSide = { count: 0, failed: false };
  for (const index of members) {
    const times = spans[index]?.[name];
    if (!times) continue;
    side.count += 1;
    side.failed ||= times.error;
    if (times.duration != null) side.duration = (side.duration ?? 0) + times.duration;
    const place = placed[index];
    if (place) {
      side.from = Math.min(side.from ?? place.from, place.from);
      side.to = Math.max(side.to ?? place.to, place.to);
    }
    const ordering = order[index];
    if (ordering && side.ordering !== 'parallel') side.ordering = ordering;
  }
  return side;
}

function rowOf(index: number, members: readonly number[], spans: readonly SpanDiff[], a: RowSide, b: RowSide): Omit<PairRow, 'words' | 'size' | 'open'> {
  const span = spans[index] as SpanDiff;
  let [selfChange, pathChange] = [0, 0];
  for (const member of members) {
    selfChange += spans[member]?.selfTimeChange ?? 0;
    pathChange += spans[member]?.pathTimeChange ?? 0;
  }
  const both = a.duration !== undefined && b.duration !== undefined;
  return {
    index,
    span,
    depth: span.depth,
    a,
    b,
    selfChange,
    pathChange,
    ...(both && { durationChange: (b.duration ?? 0) - (a.duration ?? 0) }),
  };
}

/** What became of a row; nothing where it is as it was. */
function wordsOf({ a, b, selfChange, durationChange = 0 }: Omit<PairRow, 'words' | 'size' | 'open'>, least: number): ChangeWord[] {
  if (a.count === 0) return ['added'];
  if (b.count === 0) return ['removed'];
  const words: ChangeWord[] = [];
  if (a.count !== b.count) words.push('count');
  if (a.ordering === 'parallel' && b.ordering === 'serial') words.push('serialized');
  if (a.ordering === 'serial' && b.ordering === 'parallel') words.push('parallelized');
  if (!a.failed && b.failed) words.push('fails');
  if (a.failed && !b.failed) words.push('recovers');
  if (Math.abs(selfChange) > least) words.push('self');
  if (words.length > 0 || Math.abs(durationChange) <= least) return words;
  return [durationChange > 0 ? 'inherits' : 'inherits_less'];
}

/** Share of spans that only one trace has. */
export function unmatchedShare({ spans }: TraceDiff): number {
  return spans.length === 0 ? 0 : spans.filter((span) => span.in !== 'both').length / spans.length;
}
