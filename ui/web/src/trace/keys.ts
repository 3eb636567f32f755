/** The keys of a trace's page (WCAG 2.1.4: as all of single letters, the settings switch them off). */
import { useMemo } from 'preact/hooks';

import { useShortcuts } from '../keyboard';
import { at } from './groups';
import { foldedFrom, lineAbove } from './layout';
import type { Found } from './load';
import { activeRow, levelled, type Model, nextOf, nothingFolded, rowsWhere, slowestOf } from './model';
import { text } from './text';

const ZOOM = 0.5;
const PAN = 0.25;

export function useTraceKeys(model: Model, found: Found | null): void {
  const { view } = model;
  const { critical, errors } = useMemo(() => candidatesOf(model), [view]);
  const { keys } = text;
  const jump = (candidates: Int32Array, step: -1 | 1) => {
    const row = nextOf(model, candidates, step);
    if (row >= 0) model.goTo(row);
  };
  useShortcuts(keys.group, [
    { keys: ['j'], text: keys.down, run: () => model.activate(Math.min(model.layout.count - 1, model.active + 1)) },
    { keys: ['k'], text: keys.up, run: () => model.activate(Math.max(0, model.active - 1)) },
    { keys: ['l'], text: keys.open, run: () => openOrEnter(model) },
    { keys: ['h'], text: keys.close, run: () => closeOrLeave(model) },
    { keys: ['m'], text: keys.slowest, run: () => goToSlowest(model) },
    { keys: ['c'], text: keys.nextCritical, run: () => jump(critical, 1) },
    { keys: ['C'], text: keys.previousCritical, run: () => jump(critical, -1) },
    { keys: ['e'], text: keys.nextError, run: () => jump(errors, 1) },
    { keys: ['E'], text: keys.previousError, run: () => jump(errors, -1) },
    { keys: ['n'], text: text.nextMatch, run: () => found && jump(found.rows, 1) },
    { keys: ['N'], text: text.previousMatch, run: () => found && jump(found.rows, -1) },
    { keys: ['+', '='], text: keys.zoomIn, run: () => model.zoom(ZOOM) },
    { keys: ['-'], text: keys.zoomOut, run: () => model.zoom(1 / ZOOM) },
    { keys: ['0'], text: keys.zoomAll, run: () => model.setStretch(model.whole) },
    { keys: ['a'], text: keys.panLeft, run: () => model.pan(-PAN) },
    { keys: ['d'], text: keys.panRight, run: () => model.pan(PAN) },
    { keys: ['o'], text: keys.expandLevel, run: () => levelled(model, 1) },
    { keys: ['p'], text: keys.collapseLevel, run: () => levelled(model, -1) },
    { keys: ['['], text: text.expandAll, run: () => model.setFolding(nothingFolded(view, model.groups)) },
    { keys: [']'], text: text.collapseAll, run: () => collapseAll(model) },
    { keys: ['r'], text: keys.root, run: () => model.setRoot(activeRow(model)) },
    { keys: ['Escape'], text: keys.back, run: () => back(model) },
  ]);
}

function candidatesOf({ view: { rows } }: Model) {
  return {
    critical: rowsWhere(rows.count, (row) => at(rows.critical, row) > 0),
    errors: rowsWhere(rows.count, (row) => at(rows.error, row) === 1),
  };
}

export function goToSlowest(model: Model): void {
  const row = slowestOf(model);
  if (row >= 0) model.goTo(row, true);
}

/** Everything below the rows at the top is folded away. */
export function collapseAll(model: Model): void {
  const { folding, view, root } = model;
  const top = root < 0 ? 0 : at(view.rows.depth, root);
  model.setFolding(foldedFrom(folding, view.rows, top + 1));
}

/** Closes what is open, or looks at the whole trace again. */
export function back(model: Model): void {
  if (model.selected >= 0) model.select(-1);
  else if (model.root >= 0) model.setRoot(-1);
}

export function openOrEnter(model: Model): void {
  const open = model.openOf(model.active);
  if (open === false) model.toggle(model.active);
  else if (open === true) model.activate(Math.min(model.layout.count - 1, model.active + 1));
}

export function closeOrLeave(model: Model): void {
  if (model.openOf(model.active) === true) {
    model.toggle(model.active);
    return;
  }
  const above = lineAbove(model.layout, model.active);
  if (above >= 0) model.activate(above);
}
