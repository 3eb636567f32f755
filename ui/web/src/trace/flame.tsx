/** Where the time of a trace goes, by call path. */
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import { ChartFrame } from '../chart/frame';
import { formatDuration, formatShare } from '../format';
import { prepareCanvas } from './bars';
import { type FlameBox, flameOf, flameWidth } from './flame-tree';
import type { Model } from './model';
import { brief } from './names';
import type { Palette, ServiceFill } from './palette';
import { text } from './text';

const LEVEL_HEIGHT = 22;

/** Deeper levels are not drawn. */
const LEVELS_MAX = 60;

/** Narrower boxes are not drawn, or without words. CSS pixels. */
const LEAST_WIDTH = 0.5;
const LEAST_WORDS = 36;

const TABLE_ROWS = 100;

interface Properties {
  model: Model;
  palette: Palette;
  fills: ServiceFill[];
}

export function Flame({ model, palette, fills }: Properties) {
  const { view, first, last, hidden } = model;
  const boxes = useMemo(() => flameOf(view.rows, first, last, hidden), [view, first, last, hidden]);
  const whole = useMemo(() => flameWidth(boxes), [boxes]);
  const levels = useMemo(() => boxes.reduce((most, { depth }) => Math.max(most, depth + 1), 0), [boxes]);
  const table = useMemo(() => tableOf(model, boxes, whole), [boxes]);
  const [top] = useMemo(() => boxes.toSorted((a, b) => b.self - a.self), [boxes]);
  const summary = !top || whole === 0 ? text.flameNothing : text.flameSummary(boxes.length, nameOf(model, top), top.self / whole);
  const note = levels > LEVELS_MAX ? `${text.flameNote} ${text.flameDeep(LEVELS_MAX, levels)}` : text.flameNote;
  return (
    <div class="trace-flame">
      <h2 class="visually-hidden">{text.viewNames.flame}</h2>
      <ChartFrame title={text.flameTitle} summary={summary} note={note} table={table}>
        <Boxes model={model} palette={palette} fills={fills} boxes={boxes} whole={whole} levels={Math.min(levels, LEVELS_MAX)} />
      </ChartFrame>
    </div>
  );
}

function nameOf({ view }: Model, box: FlameBox): string {
  return `${brief(view.services[box.service] ?? text.unknownService)} ${brief(view.names[box.name] || text.unnamedSpan)}`;
}

function tableOf(model: Model, boxes: readonly FlameBox[], whole: number) {
  const rows = boxes
    .toSorted((a, b) => b.self - a.self)
    .slice(0, TABLE_ROWS)
    .map((box) => [
      nameOf(model, box),
      box.depth + 1,
      box.calls.toLocaleString('en'),
      formatDuration(box.self),
      formatDuration(box.total),
      whole > 0 ? formatShare(box.self / whole) : '–',
    ]);
  return { head: [text.operation, text.depth, text.callCount, text.selfColumn, text.total, text.selfShare], rows };
}

interface BoxesProperties extends Properties {
  boxes: FlameBox[];
  whole: number;
  levels: number;
}

function Boxes({ model, palette, fills, boxes, whole, levels }: BoxesProperties) {
  const place = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const height = Math.max(1, levels) * LEVEL_HEIGHT;
  useLayoutEffect(() => {
    if (!place.current) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const context = canvas.current && prepareCanvas(canvas.current, width, height);
    if (!context || width === 0 || whole === 0) return;
    context.font = '12px system-ui, sans-serif';
    context.textBaseline = 'middle';
    for (const box of boxes) paint(context, { box, model, palette, fills, factor: width / whole });
  }, [boxes, palette, fills, width, model.selected]);
  const boxAt = (event: MouseEvent) => {
    const { left, top } = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const [x, depth] = [((event.clientX - left) / Math.max(1, width)) * whole, Math.floor((event.clientY - top) / LEVEL_HEIGHT)];
    return boxes.find((box) => box.depth === depth && x >= box.left && x < box.left + box.total);
  };
  const press = (event: MouseEvent) => {
    const box = boxAt(event);
    if (box) model.goTo(box.slowest, true);
  };
  const explain = (event: MouseEvent) => {
    const box = boxAt(event);
    if (!canvas.current) return;
    canvas.current.title = box
      ? `${nameOf(model, box)}\n${formatDuration(box.total)}, ${text.selfColumn} ${formatDuration(box.self)}, ${text.repeats(box.calls)}`
      : '';
  };
  return (
    <div ref={place}>
      <canvas ref={canvas} style={{ width: `${width}px`, height: `${height}px` }} onClick={press} onMouseMove={explain} />
    </div>
  );
}

interface Painted extends Properties {
  box: FlameBox;
  factor: number;
}

function paint(context: CanvasRenderingContext2D, { box, model, palette, fills, factor }: Painted): void {
  const width = box.total * factor;
  if (width < LEAST_WIDTH || box.depth >= LEVELS_MAX) return;
  const [left, top] = [box.left * factor, box.depth * LEVEL_HEIGHT];
  context.globalAlpha = 0.35;
  context.fillStyle = fills[box.service]?.colour ?? palette.none;
  context.fillRect(left, top, Math.max(LEAST_WIDTH, width - 1), LEVEL_HEIGHT - 1);
  context.globalAlpha = 1;
  context.fillRect(left, top, Math.min(3, width), LEVEL_HEIGHT - 1);
  if (box.errors > 0) {
    context.fillStyle = palette.fail;
    context.fillRect(left, top + LEVEL_HEIGHT - 3, Math.max(LEAST_WIDTH, width - 1), 2);
  }
  if (box.slowest === model.selected) {
    context.strokeStyle = palette.link;
    context.lineWidth = 2;
    context.strokeRect(left + 1, top + 1, Math.max(1, width - 3), LEVEL_HEIGHT - 3);
  }
  if (width < LEAST_WORDS) return;
  context.save();
  context.beginPath();
  context.rect(left + 3, top, width - 8, LEVEL_HEIGHT);
  context.clip();
  context.fillStyle = palette.text;
  context.fillText(`${box.errors > 0 ? '✖ ' : ''}${nameOf(model, box)} ${formatDuration(box.total)}`, left + 8, top + LEVEL_HEIGHT / 2);
  context.restore();
}
