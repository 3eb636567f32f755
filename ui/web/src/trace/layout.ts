/**
 * Which lines a timeline has, from top to bottom, given what is folded, hidden and looked at. It is made once for
 * every such change, in time linear in the lines, so that scrolling has nothing to work out.
 */
import { at, type Groups } from './groups';
import type { Rows } from './view';

export interface Folding {
  /** By row: 1 where what is below it is folded away. */
  collapsed: Uint8Array;
  /** By group: 1 where all of its rows are shown. */
  opened: Uint8Array;
}

export interface Layout {
  count: number;
  /** A line: a row, or -1 - group, or -1 - (groups + place in `pruned`). */
  lines: Int32Array;
  /** By line. */
  depth: Int32Array;
  /** By row: its line, or -1. */
  lineOfRow: Int32Array;
  /** By group: its line, or -1. */
  lineOfGroup: Int32Array;
  /** Rows that are left out because their service is hidden, by the line that says so. */
  pruned: { rows: number; errors: number }[];
}

export type Line = { row: number } | { group: number } | { pruned: number };

/** What a line stands for. */
export function lineAt(layout: Layout, groups: Groups, line: number): Line {
  const value = at(layout.lines, line);
  if (value >= 0) return { row: value };
  const other = -1 - value;
  return other < groups.count ? { group: other } : { pruned: other - groups.count };
}

interface Properties {
  rows: Rows;
  groups: Groups;
  folding: Folding;
  /** The row that is looked at with what is below it; -1 for the whole trace. */
  root: number;
  /** By service: 1 where it is hidden. */
  hidden: Uint8Array;
}

export function layoutOf(properties: Properties): Layout {
  return new Maker(properties).make();
}

/**
 * What is still to be made, as a stack of numbers: a trace may be as deep as it is long, and an object a level is slow.
 * An entry is rows that follow each other below one parent, or members of a group.
 */
class Pending {
  length = 0;
  readonly next: Int32Array;
  readonly end: Int32Array;
  readonly depth: Int32Array;
  /** 1 where `next` and `end` are places in the groups' members. */
  readonly members: Uint8Array;
  /** The entry that counts rows of hidden services: its own, or that of the line they are below. */
  readonly counter: Int32Array;
  /** Where that count is in the layout; -1 before the first. */
  readonly pruned: Int32Array;

  constructor(capacity: number) {
    this.next = new Int32Array(capacity);
    this.end = new Int32Array(capacity);
    this.depth = new Int32Array(capacity);
    this.members = new Uint8Array(capacity);
    this.counter = new Int32Array(capacity);
    this.pruned = new Int32Array(capacity);
  }

  push(next: number, end: number, depth: number, members: 0 | 1, counter = this.length): void {
    const entry = this.length++;
    this.next[entry] = next;
    this.end[entry] = end;
    this.depth[entry] = depth;
    this.members[entry] = members;
    this.counter[entry] = counter;
    this.pruned[entry] = -1;
  }
}

class Maker {
  private readonly given: Properties;
  private readonly layout: Layout;
  private readonly pending: Pending;

  constructor(given: Properties) {
    this.given = given;
    const { rows, groups } = given;
    const lines = rows.count + groups.count;
    this.pending = new Pending(lines + 2);
    this.layout = {
      count: 0,
      lines: new Int32Array(lines),
      depth: new Int32Array(lines),
      lineOfRow: new Int32Array(rows.count).fill(-1),
      lineOfGroup: new Int32Array(groups.count).fill(-1),
      pruned: [],
    };
  }

  make(): Layout {
    const { rows, groups, root } = this.given;
    const { pending } = this;
    if (root < 0) pending.push(0, rows.count, 0, 0);
    else pending.push(root, at(rows.end, root), 0, 0);
    while (pending.length > 0) {
      const open = pending.length - 1;
      const next = at(pending.next, open);
      if (next >= at(pending.end, open)) {
        pending.length -= 1;
      } else if (pending.members[open]) {
        pending.next[open] = next + 1;
        this.visit(at(groups.members, next), at(pending.depth, open), at(pending.counter, open));
      } else {
        pending.next[open] = at(rows.end, next);
        this.step(next, open);
      }
    }
    return this.layout;
  }

  /** A row below a parent, or its group in its place. What is looked at is a row, whatever group it is of. */
  private step(row: number, open: number): void {
    const { rows, groups, hidden, root } = this.given;
    const [group, depth] = [at(groups.of, row), at(this.pending.depth, open)];
    const isAlone = group < 0 || row === root || hidden[at(rows.service, row)];
    if (isAlone) this.visit(row, depth, at(this.pending.counter, open));
    else if (this.layout.lineOfGroup[group] === -1) this.openGroup(group, depth);
  }

  private openGroup(group: number, depth: number): void {
    const { groups, folding } = this.given;
    this.layout.lineOfGroup[group] = this.push(-1 - group, depth);
    const begin = at(groups.begin, group);
    if (folding.opened[group]) this.pending.push(begin, at(groups.begin, group + 1), depth + 1, 1);
    else this.visit(at(groups.slowest, group), depth + 1, -1);
  }

  /** A row with what is below it. Of a hidden service only what is below it, where it would be. */
  private visit(row: number, depth: number, counter: number): void {
    const { rows, folding, hidden } = this.given;
    const end = at(rows.end, row);
    if (hidden[at(rows.service, row)]) {
      this.prune(row, depth, counter);
      this.pending.push(row + 1, end, depth, 0, counter);
      return;
    }
    this.layout.lineOfRow[row] = this.push(row, depth);
    if (!folding.collapsed[row] && row + 1 < end) this.pending.push(row + 1, end, depth + 1, 0);
  }

  private prune(row: number, depth: number, counter: number): void {
    const { rows, groups } = this.given;
    const { pruned } = this.layout;
    if (at(this.pending.pruned, counter) < 0) {
      this.pending.pruned[counter] = pruned.length;
      this.push(-1 - groups.count - pruned.length, depth);
      pruned.push({ rows: 0, errors: 0 });
    }
    const count = pruned[at(this.pending.pruned, counter)];
    if (!count) return;
    count.rows += 1;
    count.errors += at(rows.error, row);
  }

  private push(value: number, depth: number): number {
    const line = this.layout.count++;
    this.layout.lines[line] = value;
    this.layout.depth[line] = depth;
    return line;
  }
}

/** The line of a row, or of the nearest one above that it is folded into; -1 where there is none. */
export function lineShowing(layout: Layout, rows: Rows, groups: Groups, row: number): number {
  for (let above = row; above >= 0; above = at(rows.parent, above)) {
    const line = at(layout.lineOfRow, above);
    if (line >= 0) return line;
    const group = at(groups.of, above);
    if (group >= 0 && at(layout.lineOfGroup, group) >= 0) return at(layout.lineOfGroup, group);
  }
  return -1;
}

/** The line that a line is below; -1 at the top. */
export function lineAbove(layout: Layout, line: number): number {
  const depth = at(layout.depth, line);
  let above = line - 1;
  while (above >= 0 && at(layout.depth, above) >= depth) above--;
  return above;
}

/** Everything shown that leads to a row. */
export function unfolded(folding: Folding, rows: Rows, groups: Groups, row: number): Folding {
  const collapsed = folding.collapsed.slice();
  const opened = folding.opened.slice();
  for (let above = row; above >= 0; above = at(rows.parent, above)) {
    if (above !== row) collapsed[above] = 0;
    const group = at(groups.of, above);
    if (group >= 0 && at(groups.slowest, group) !== above) opened[group] = 1;
  }
  return { collapsed, opened };
}

/** Everything folded that is so deep or deeper; nothing where `depth` is beyond the deepest. */
export function foldedFrom(folding: Folding, rows: Rows, depth: number): Folding {
  const collapsed = new Uint8Array(rows.count);
  for (let row = 0; row < rows.count; row++) {
    if (at(rows.depth, row) >= depth && at(rows.end, row) > row + 1) collapsed[row] = 1;
  }
  return { collapsed, opened: folding.opened };
}
