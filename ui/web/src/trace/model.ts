/**
 * What of a trace is shown now and which of its lines is active: the state of the address and what is folded, made into
 * lines, with everything that moves from one to another.
 */
import { useEffect, useMemo, useState } from 'preact/hooks';

import { serviceColours } from '../service-colour';
import { panned, type Stretch, zoomed } from './axis';
import { at, type Groups } from './groups';
import { type Folding, foldedFrom, type Layout, layoutOf, lineAbove, lineAt, lineShowing, unfolded } from './layout';
import type { Loaded } from './load';
import type { ChangeState, TraceState } from './state';
import { idOf, rowOf, type TraceView } from './view';

export interface Model {
  view: TraceView;
  groups: Groups;
  layout: Layout;
  folding: Folding;
  setFolding: (folding: Folding) => void;
  colours: ReturnType<typeof serviceColours>;
  /** By service: 1 where it is hidden. */
  hidden: Uint8Array;
  /** The row that everything shown is below, -1 for the whole trace; its rows, and when they were. */
  root: number;
  first: number;
  last: number;
  whole: Stretch;
  /** What is looked at of it. */
  stretch: Stretch;
  setStretch: (stretch: Stretch) => void;
  /** Nearer with a factor below 1, around a time or the middle. */
  zoom: (factor: number, around?: number) => void;
  /** Earlier or later, by a part of what is in sight. */
  pan: (part: number) => void;
  /** The selected row, -1 for none. */
  selected: number;
  select: (row: number) => void;
  /** The active line. */
  active: number;
  activate: (line: number) => void;
  /** Makes a row the active one wherever it is folded away; the selection follows where there is one. */
  goTo: (row: number, select?: boolean) => void;
  /** Counts up when the active line has to be scrolled to. */
  revealed: number;
  toggle: (line: number) => void;
  /** Whether a line has something below it that can be folded, and is open. */
  openOf: (line: number) => boolean | undefined;
  setRoot: (row: number) => void;
}

export function useModel(loaded: Loaded, state: TraceState, change: ChangeState): Model {
  const { view, groups } = loaded;
  const { rows } = view;
  const [folding, setFolding] = useState<Folding>(() => nothingFolded(view, groups));
  const root = useMemo(() => rowOf(rows, state.root), [rows, state.root]);
  const selected = useMemo(() => rowOf(rows, state.span), [rows, state.span]);
  const colours = useMemo(() => serviceColours(view.services), [view]);
  const hidden = useMemo(() => {
    const names = new Set(state.hide);
    return Uint8Array.from(view.services, (service) => Number(names.has(service)));
  }, [view, state.hide.join(',')]);
  const layout = useMemo(() => layoutOf({ rows, groups, folding, root, hidden }), [rows, groups, folding, root, hidden]);
  const whole = useMemo(() => wholeOf(view, root), [view, root]);
  const stretch = state.t0 === null || state.t1 === null ? whole : { from: state.t0, to: Math.min(state.t1, view.duration) };
  const setStretch = ({ from, to }: Stretch) => {
    const isWhole = from <= whole.from && to >= whole.to;
    change(isWhole || to <= from ? { t0: null, t1: null } : { t0: from, t1: to });
  };
  const focus = useFocus(loaded, layout, folding, setFolding, selected);
  const select = (row: number) => change({ span: row < 0 ? null : idOf(rows, row) });
  const goTo = (row: number, alsoSelect = selected >= 0) => {
    focus.goTo(row);
    if (alsoSelect) select(row);
  };
  const openOf = (line: number) => openness(view, groups, layout, folding, line);
  return {
    view,
    groups,
    layout,
    folding,
    setFolding,
    colours,
    hidden,
    root,
    first: root < 0 ? 0 : root,
    last: root < 0 ? rows.count : at(rows.end, root),
    whole,
    stretch,
    setStretch,
    zoom: (factor, around = (stretch.from + stretch.to) / 2) => setStretch(zoomed(stretch, whole, factor, around)),
    pan: (part) => setStretch(panned(stretch, whole, part)),
    selected,
    select,
    active: focus.active,
    activate: focus.activate,
    goTo,
    revealed: focus.revealed,
    openOf,
    toggle: (line) => {
      const open = openOf(line);
      if (open !== undefined) setFolding(toggled(groups, layout, folding, line, !open));
    },
    setRoot: (row) => change({ root: row < 0 ? null : idOf(rows, row), t0: null, t1: null }),
  };
}

/** Which line is active. It is kept as what it stands for: lines come and go above it. */
function useFocus(loaded: Loaded, layout: Layout, folding: Folding, setFolding: (folding: Folding) => void, selected: number) {
  const { view, groups } = loaded;
  const [value, setValue] = useState(0);
  const [revealed, setRevealed] = useState(0);
  const active = useMemo(() => lineOf(layout, view, groups, value), [layout, value]);
  const goTo = (row: number) => {
    if (layout.lineOfRow[row] === -1) setFolding(unfolded(folding, view.rows, groups, row));
    setValue(row);
    setRevealed((before) => before + 1);
  };
  // A link to a span shows it, wherever it is; so does the back button.
  useEffect(() => {
    if (selected >= 0) goTo(selected);
  }, [selected]);
  const activate = (line: number) => {
    setValue(layout.lines[line] ?? 0);
    setRevealed((before) => before + 1);
  };
  return { active, activate, goTo, revealed };
}

function lineOf(layout: Layout, view: TraceView, groups: Groups, value: number): number {
  if (value >= 0) return Math.max(0, lineShowing(layout, view.rows, groups, value));
  const group = -1 - value;
  const line = group < groups.count ? layout.lineOfGroup[group] : layout.lines.indexOf(value);
  return Math.max(0, line ?? 0);
}

export function nothingFolded(view: TraceView, groups: Groups): Folding {
  return { collapsed: new Uint8Array(view.rows.count), opened: new Uint8Array(groups.count) };
}

function wholeOf(view: TraceView, root: number): Stretch {
  const start = view.rows.start[root] ?? -1;
  if (root < 0 || start < 0) return { from: 0, to: view.duration };
  return { from: start, to: start + Math.max(1, view.rows.duration[root] ?? 0) };
}

function openness(view: TraceView, groups: Groups, layout: Layout, folding: Folding, line: number): boolean | undefined {
  const item = lineAt(layout, groups, line);
  if ('group' in item) return folding.opened[item.group] === 1;
  if (!('row' in item) || at(view.rows.end, item.row) <= item.row + 1) return undefined;
  return folding.collapsed[item.row] === 0;
}

function toggled(groups: Groups, layout: Layout, folding: Folding, line: number, open: boolean): Folding {
  const item = lineAt(layout, groups, line);
  const [collapsed, opened] = [folding.collapsed.slice(), folding.opened.slice()];
  if ('group' in item) opened[item.group] = Number(open);
  if ('row' in item) collapsed[item.row] = Number(!open);
  return { collapsed, opened };
}

/** One level more or less than is shown now. */
export function levelled(model: Model, step: -1 | 1): void {
  const { view, folding, layout } = model;
  let deepest = 0;
  for (let line = 0; line < layout.count; line++) {
    const row = at(layout.lines, line);
    if (row >= 0) deepest = Math.max(deepest, at(view.rows.depth, row));
  }
  const least = model.root < 0 ? 0 : at(view.rows.depth, model.root);
  model.setFolding(foldedFrom(folding, view.rows, Math.max(least, deepest + step)));
}

/** The next of some rows after the active one, or before it, around the end; only of what is shown. -1 for none. */
export function nextOf(model: Model, candidates: Int32Array, step: -1 | 1): number {
  const { rows } = model.view;
  const shown = (row: number) => row >= model.first && row < model.last && !model.hidden[at(rows.service, row)];
  const count = candidates.length;
  const from = activeRow(model);
  let place = 0;
  if (step > 0) while (place < count && at(candidates, place) <= from) place++;
  else for (place = count - 1; place >= 0 && at(candidates, place) >= from; ) place--;
  for (let tried = 0; tried < count; tried++, place += step) {
    const row = at(candidates, ((place % count) + count) % count);
    if (shown(row)) return row;
  }
  return -1;
}

/** The row of the active line, of a group's its first. */
export function activeRow(model: Model): number {
  const { layout, groups, active } = model;
  for (let line = active; line >= 0; line = lineAbove(layout, line)) {
    const item = lineAt(layout, groups, line);
    if ('row' in item) return item.row;
    if ('group' in item) return at(groups.members, at(groups.begin, item.group));
  }
  return -1;
}

/** Rows that something is true of, in order. */
export function rowsWhere(count: number, is: (row: number) => boolean): Int32Array {
  const found = new Int32Array(count);
  let length = 0;
  for (let row = 0; row < count; row++) if (is(row)) found[length++] = row;
  return found.slice(0, length);
}

/** The row with the most time of its own on the critical path; of those shown. -1 where there is none. */
export function slowestOf(model: Model): number {
  const { rows } = model.view;
  let slowest = -1;
  for (let row = model.first; row < model.last; row++) {
    if (model.hidden[at(rows.service, row)] || at(rows.critical, row) <= 0) continue;
    if (slowest < 0 || at(rows.critical, row) > at(rows.critical, slowest)) slowest = row;
  }
  return slowest;
}
