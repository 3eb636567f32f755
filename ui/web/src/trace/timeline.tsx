/**
 * The lines of a trace: names and times as rows of a tree grid, bars on a canvas over them. Only lines in sight are
 * elements and are painted, so that a hundred thousand scroll as ten do.
 *
 * It is one grid to the keyboard: the focus stays on the grid, and the arrows move its active row.
 */
import { Fragment } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import { formatDuration } from '../format';
import { tickLabel, ticksOf, tickStep } from './axis';
import { paintLine, prepareCanvas } from './bars';
import type { Marks } from './details';
import { back, closeOrLeave, openOrEnter } from './keys';
import { lineAt } from './layout';
import type { Model } from './model';
import type { Palette, ServiceFill } from './palette';
import { BAND_HEIGHT, INLINE_HEIGHT, lineTop, move, ROW_HEIGHT, scrollTopFor, windowOf } from './scrolling';
import { SpanDetails } from './span-details';
import type { SpanSource } from './span-request';
import { text } from './text';
import { lineId, TimelineRow } from './timeline-row';
import { useStretchPointer } from './stretch-pointer';

/** A label of the axis needs so many CSS pixels. */
const LABEL_WIDTH = 72;
const LABEL_LEAST = 52;

interface Properties {
  model: Model;
  palette: Palette;
  fills: ServiceFill[];
  marks: Marks | null;
  matches: ReadonlySet<number>;
  /** Percent of the width. */
  nameWidth: number;
  /** Where details of the selected row come from, where they are open in the rows; else `null`. */
  inline: SpanSource | null;
  logsUrl: string | null;
  onShowAll: () => void;
}

export function Timeline(properties: Properties) {
  const { model, matches, nameWidth, inline, logsUrl, onShowAll } = properties;
  const { layout, active, revealed, selected } = model;
  const scroller = useRef<HTMLDivElement>(null);
  const band = useRef<HTMLSpanElement>(null);
  const { top, height, width, rowHeight } = useScroll(scroller, band, nameWidth);
  const open = inline && selected >= 0 ? (layout.lineOfRow[selected] ?? -1) : -1;
  const orphans = useMemo(() => orphansOf(model), [model.view]);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element) element.scrollTop = scrollTopFor(active, element.scrollTop, element.clientHeight, open, rowHeight);
  }, [revealed, open, rowHeight]);
  const { first, last } = windowOf(top, height, layout.count, open, rowHeight);
  const lines = Array.from({ length: last - first }, (_, offset) => first + offset);
  useStretchPointer(scroller, band, model);
  return (
    <div
      ref={scroller}
      class="trace-scroller"
      style={{ '--trace-name-width': `${nameWidth}%` }}
      role="treegrid"
      aria-label={text.tree}
      aria-rowcount={layout.count + 1}
      aria-activedescendant={active >= first && active < last ? lineId(active) : undefined}
      tabIndex={0}
      onKeyDown={(event) => onKeyDown(event, model, { height, rowHeight }, onShowAll)}
    >
      <TimeAxis model={model} band={band} width={width} />
      <Bars {...properties} first={first} last={last} top={top} height={height} width={width} rowHeight={rowHeight} open={open} />
      <div class="trace-rows" style={{ height: `${lineTop(layout.count, open, rowHeight)}px` }} role="rowgroup">
        <div style={{ transform: `translateY(${lineTop(first, open, rowHeight)}px)` }} role="presentation">
          {lines.map((line) => (
            <Fragment key={line}>
              <TimelineRow model={model} line={line} orphans={orphans} matches={matches} onShowAll={onShowAll} />
              {line === open && inline && <InlineDetails model={model} source={inline} logsUrl={logsUrl} />}
            </Fragment>
          ))}
        </div>
      </div>
    </div>
  );
}

function onKeyDown(event: KeyboardEvent, model: Model, { height, rowHeight }: Sizes, onShowAll: () => void): void {
  if (event.target !== event.currentTarget || event.metaKey || event.ctrlKey || event.altKey) return;
  const target = move(event.key, model.active, model.layout.count, height, rowHeight);
  if (target !== null) model.activate(target);
  else if (event.key === 'ArrowRight') openOrEnter(model);
  else if (event.key === 'ArrowLeft') closeOrLeave(model);
  else if (event.key === 'Enter' || event.key === ' ') press(model, onShowAll);
  else if (event.key === 'Escape') back(model);
  else return;
  event.preventDefault();
}

function press(model: Model, onShowAll: () => void): void {
  const item = lineAt(model.layout, model.groups, model.active);
  if ('group' in item) model.toggle(model.active);
  else if ('row' in item) model.select(item.row === model.selected ? -1 : item.row);
  else onShowAll();
}

/** CSS pixels. */
interface Sizes {
  /** Of the lines' part of the scroller. */
  height: number;
  rowHeight: number;
}

/** Where the scroller is, how high the lines' part of it and one line are, and how wide the bars' place, as state. */
function useScroll(scroller: { current: HTMLElement | null }, band: { current: HTMLElement | null }, nameWidth: number) {
  const [state, setState] = useState({ top: 0, height: 800, width: 0, rowHeight: ROW_HEIGHT });
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    let rowHeight = ROW_HEIGHT;
    const update = () =>
      setState({
        top: element.scrollTop,
        height: Math.max(0, element.clientHeight - BAND_HEIGHT),
        width: band.current?.clientWidth ?? 0,
        rowHeight,
      });
    const resize = () => {
      rowHeight = parseFloat(getComputedStyle(element).getPropertyValue('--trace-row-height')) || ROW_HEIGHT;
      update();
    };
    resize();
    const observer = new ResizeObserver(resize);
    observer.observe(element);
    element.addEventListener('scroll', update, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', update);
    };
  }, [nameWidth]);
  return state;
}

/** Rows whose parent is missing, with the parent's identifier, as far as the server told them. */
function orphansOf({ view }: Model): ReadonlyMap<number, string> {
  const orphans = new Map<number, string>();
  for (const note of view.notes) if (note.kind === 'missing_parent') orphans.set(note.row, note.parentId);
  return orphans;
}

function TimeAxis({ model, band, width }: { model: Model; band: { current: HTMLSpanElement | null }; width: number }) {
  const { from, to } = model.stretch;
  const count = Math.max(1, Math.floor(width / LABEL_WIDTH));
  const step = tickStep(from, to, count);
  return (
    <div class="trace-axis" role="row" aria-rowindex={1}>
      <span role="columnheader">{text.nameColumn}</span>
      <span role="columnheader" class="trace-row-duration">
        {text.durationColumn}
      </span>
      <span ref={band} role="columnheader" class="trace-axis-time" aria-label={text.timeColumn(formatDuration(from), formatDuration(to))}>
        {width > 0 && ticksOf(from, to, count).map((tick) => <Tick key={tick} left={((tick - from) / (to - from)) * width} width={width} gap={(step / (to - from)) * width} label={tickLabel(tick, step, to)} />)}
      </span>
    </div>
  );
}

/** The label is right of its line; where that has no room left of it, if there it has. All in CSS pixels. */
function Tick({ left, width, gap, label }: { left: number; width: number; gap: number; label: string }) {
  const hasRoom = width - left >= LABEL_LEAST;
  const place = hasRoom ? { left: `${left}px` } : { right: `${width - left}px` };
  return (
    <span class={`trace-tick ${hasRoom ? '' : 'trace-tick-last'}`} style={place}>
      {hasRoom || gap >= 2 * LABEL_LEAST ? label : ''}
    </span>
  );
}

interface BarsProperties extends Properties, Sizes {
  first: number;
  last: number;
  top: number;
  width: number;
  open: number;
}

/** The canvas stays where it is while lines scroll below it, and is painted anew. */
function Bars({ model, palette, fills, marks, first, last, top, height, width, rowHeight, open }: BarsProperties) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { view, groups, layout, stretch } = model;
  useEffect(() => {
    performance.mark('trace-painted');
  }, []);
  useLayoutEffect(() => {
    const context = canvas.current && prepareCanvas(canvas.current, width, height);
    if (!context || width === 0) return;
    context.fillStyle = palette.border;
    for (const tick of ticksOf(stretch.from, stretch.to, Math.max(1, Math.floor(width / LABEL_WIDTH)))) {
      context.fillRect(Math.round(((tick - stretch.from) / (stretch.to - stretch.from)) * width), 0, 1, height);
    }
    const painting = { rows: view.rows, groups, layout, fills, palette, marks, stretch, width };
    for (let line = first; line < last; line++) {
      // Where a line is higher, its bar is at the foot of it, and nothing is drawn through its name.
      const name = rowHeight - ROW_HEIGHT;
      const y = lineTop(line, open, rowHeight) + name - top;
      context.clearRect(0, y - name, width, name);
      if (y > -ROW_HEIGHT && y < height) paintLine(context, painting, line, y);
    }
    if (open >= 0) context.clearRect(0, lineTop(open, open, rowHeight) + rowHeight - top, width, INLINE_HEIGHT);
  });
  return (
    <div class="trace-canvas-place" role="presentation">
      <canvas ref={canvas} class="trace-canvas" aria-hidden="true" style={{ width: `${width}px`, height: `${height}px` }} />
    </div>
  );
}

/** Details between the rows, as high as the arithmetic of scrolling takes them to be. */
function InlineDetails({ model, source, logsUrl }: { model: Model; source: SpanSource; logsUrl: string | null }) {
  return (
    <div class="trace-inline" role="row" aria-level={1}>
      <div role="gridcell" class="trace-inline-cell">
        <SpanDetails key={model.selected} model={model} source={source} logsUrl={logsUrl} onClose={() => model.select(-1)} />
      </div>
    </div>
  );
}
