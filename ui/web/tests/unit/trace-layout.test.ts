/** The lines of a timeline: what is folded, repeated, hidden or looked at. */
import { describe, expect, it } from 'vitest';

import { groupsOf } from '../../src/trace/groups';
import { foldedFrom, layoutOf, lineAbove, lineAt, lineShowing, unfolded, type Folding } from '../../src/trace/layout';
import { decodeView, type TraceView } from '../../src/trace/view';
import { answerOf, row, viewOf } from './trace-rows';

interface Looked {
  collapsed?: number[];
  opened?: number[];
  root?: number;
  hide?: string[];
}

function foldingOf(view: TraceView, { collapsed = [], opened = [] }: Looked): Folding {
  const flags = (length: number, set: number[]) => Uint8Array.from({ length }, (_, index) => Number(set.includes(index)));
  return { collapsed: flags(view.rows.count, collapsed), opened: flags(groupsOf(view.rows).count, opened) };
}

function layout(view: TraceView, looked: Looked = {}) {
  const hidden = Uint8Array.from(view.services, (service) => Number(looked.hide?.includes(service) ?? false));
  return layoutOf({ rows: view.rows, groups: groupsOf(view.rows), folding: foldingOf(view, looked), root: looked.root ?? -1, hidden });
}

/** Lines as an outline: rows by number, groups `×count`, what is hidden `-rows/errors`; a dot a level. */
function outline(view: TraceView, looked: Looked = {}): string[] {
  const groups = groupsOf(view.rows);
  const made = layout(view, looked);
  return Array.from({ length: made.count }, (_, line) => {
    const item = lineAt(made, groups, line);
    const dots = '.'.repeat(made.depth[line] ?? 0);
    if ('row' in item) return `${dots}${item.row}`;
    if ('group' in item) return `${dots}×${(groups.begin[item.group + 1] ?? 0) - (groups.begin[item.group] ?? 0)}`;
    const pruned = made.pruned[item.pruned];
    return `${dots}-${pruned?.rows}/${pruned?.errors}`;
  });
}

const tree = viewOf(row('web get'), row('. shop get'), row('. . db select'), row('. bank post'));

/** Six queries between which something else happens; the fourth is the slowest, and has something below it. */
const repeats = viewOf(
  row('web get'),
  row('. db select', { duration: 1 }),
  row('. db select', { duration: 2 }),
  row('. cache get'),
  row('. db select', { duration: 3 }),
  row('. db select', { duration: 9, error: true }),
  row('. . disk read'),
  row('. db select', { duration: 5 }),
  row('. db select', { duration: 6 }),
);

describe('lines', () => {
  it('are all rows in order', () => {
    expect(outline(tree)).toEqual(['0', '.1', '..2', '.3']);
  });

  it('are none of what is folded away', () => {
    expect(outline(tree, { collapsed: [1] })).toEqual(['0', '.1', '.3']);
    expect(outline(tree, { collapsed: [0] })).toEqual(['0']);
    expect(outline(tree, { collapsed: [2] })).toEqual(['0', '.1', '..2', '.3']);
  });

  it('are those below the row that is looked at', () => {
    expect(outline(tree, { root: 1 })).toEqual(['1', '.2']);
    expect(outline(tree, { root: 3 })).toEqual(['3']);
  });

  it('are of one call where a call of a group is looked at', () => {
    expect(outline(repeats, { root: 5 })).toEqual(['5', '.6']);
    expect(outline(repeats, { root: 1 })).toEqual(['1']);
  });

  it('say how much is hidden, and keep what hidden services called', () => {
    expect(outline(tree, { hide: ['shop'] })).toEqual(['0', '.-1/0', '.2', '.3']);
    expect(outline(tree, { hide: ['shop', 'bank', 'db'] })).toEqual(['0', '.-3/0']);
    expect(outline(repeats, { hide: ['db'] })).toEqual(['0', '.-6/1', '.3', '.6']);
    expect(outline(tree, { hide: ['web', 'shop', 'bank', 'db'] })).toEqual(['-4/0']);
  });

  it('have repeats as one with the slowest, and all of them where they are opened', () => {
    expect(outline(repeats)).toEqual(['0', '.×6', '..5', '...6', '.3']);
    expect(outline(repeats, { opened: [0] })).toEqual(['0', '.×6', '..1', '..2', '..4', '..5', '...6', '..7', '..8', '.3']);
  });

  it('know where rows are, or what they are folded into', () => {
    const groups = groupsOf(repeats.rows);
    const made = layout(repeats);
    expect([0, 5, 3, 1, 8].map((number) => lineShowing(made, repeats.rows, groups, number))).toEqual([0, 2, 4, 1, 1]);
    expect([0, 1, 2, 3, 4].map((line) => lineAbove(made, line))).toEqual([-1, 0, 1, 2, 0]);
    const folded = layout(tree, { collapsed: [1] });
    expect(lineShowing(folded, tree.rows, groupsOf(tree.rows), 2)).toBe(1);
    expect(lineShowing(layout(tree, { root: 1 }), tree.rows, groupsOf(tree.rows), 3)).toBe(-1);
  });

  it('show a row again that was folded away', () => {
    const groups = groupsOf(repeats.rows);
    const shown = unfolded(foldingOf(repeats, { collapsed: [0, 5] }), repeats.rows, groups, 7);
    expect([...shown.opened, shown.collapsed[0], shown.collapsed[5]]).toEqual([1, 0, 1]);
    expect([...unfolded(foldingOf(repeats, {}), repeats.rows, groups, 5).opened]).toEqual([0]);
    expect(unfolded(foldingOf(repeats, { collapsed: [5] }), repeats.rows, groups, 5).collapsed[5], 'itself stays as it is').toBe(1);
  });

  it('are folded by level', () => {
    const { collapsed } = foldedFrom(foldingOf(tree, {}), tree.rows, 1);
    expect([...collapsed]).toEqual([0, 1, 0, 0]);
  });
});

describe('groups', () => {
  it('are of more than five of a name below one parent', () => {
    const five = viewOf(row('a a'), ...Array.from({ length: 5 }, () => row('. b b')));
    expect(groupsOf(five.rows).count).toBe(0);
    const roots = viewOf(...Array.from({ length: 6 }, () => row('b b')));
    expect(groupsOf(roots.rows).count).toBe(1);
    const fiveOfSix = viewOf(row('a a'), ...Array.from({ length: 5 }, () => row('. b b')), row('. c c'));
    expect(groupsOf(fiveOfSix.rows).count).toBe(0);
    const others = viewOf(row('a a'), ...Array.from({ length: 6 }, (_, index) => row(`. b b${index}`)));
    expect(groupsOf(others.rows).count).toBe(0);
  });

  it('know their times and what failed', () => {
    const { min, median, max, errors, slowest, of } = groupsOf(repeats.rows);
    expect([min[0], median[0], max[0], errors[0], slowest[0]]).toEqual([1, 5, 9, 1, 5]);
    expect([...of]).toEqual([-1, 0, 0, -1, 0, 0, -1, 0, 0]);
  });
});

describe('a hundred thousand rows', () => {
  const flat = (count: number) => [row('a a'), ...Array.from({ length: count }, (_, index) => row(`. b b${index % 7}`))];
  const chain = (count: number) => {
    const answer = answerOf([row('a a')]);
    const column = (of: (index: number) => number) => Array.from({ length: count }, (_, index) => of(index));
    const { rows } = answer;
    const zero = column(() => 0);
    const id = Array.from({ length: count }, (_, index) => (index + 1).toString(16).padStart(16, '0'));
    return decodeView({
      ...answer,
      rows: { ...rows, id, parent: column((index) => index - 1), depth: column((index) => index), end: column(() => count), service: zero, name: zero, version: zero, kind: zero, start: zero, duration: zero, self: zero, critical: zero, error: zero, skew: zero, remote: column(() => -1) },
    });
  };

  it('in a chain are laid out without recursion', () => {
    const view = chain(100_000);
    const made = layout(view);
    expect(made.count).toBe(100_000);
    expect(lineShowing(layout(view, { collapsed: [0] }), view.rows, groupsOf(view.rows), 99_999)).toBe(0);
  });

  it('in a fan are grouped', () => {
    const view = viewOf(...flat(3000));
    expect(outline(view).length).toBe(1 + 7 * 2);
  });
});

describe('an answer', () => {
  it('is refused where its columns differ in length', () => {
    const answer = answerOf([row('a a')]);
    expect(() => decodeView({ ...answer, rows: { ...answer.rows, end: [] } })).toThrow('Column end has 0 of 1 rows.');
  });
});
