/**
 * The whole trace in a strip, and the stretch of it that the timeline shows: drag over it, move its handles by pointer
 * or keys, or write the times.
 */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import { formatDuration, parseDuration } from '../format';
import type { Stretch } from './axis';
import type { Model } from './model';
import { minimapPixels } from './minimap-pixels';
import type { Palette, ServiceFill } from './palette';
import { dragOver } from './stretch-pointer';
import { text } from './text';

/** CSS pixels; `--trace-minimap-height` in trace.css. */
const HEIGHT = 48;

/** Keys move a handle by this part of the whole. */
const KEY_STEP = 0.02;

interface Properties {
  model: Model;
  palette: Palette;
  fills: ServiceFill[];
}

export function Minimap({ model, palette, fills }: Properties) {
  const strip = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(strip);
  const { view, hidden, first, last, whole, stretch } = model;
  useEffect(() => {
    // After the rows: they are what is waited for.
    const frame = requestAnimationFrame(() => {
      const context = canvas.current?.getContext('2d');
      if (!context || width === 0) return;
      const pixels = minimapPixels({ rows: view.rows, fills, fail: palette.fail, hidden, first, last, whole, width, height: HEIGHT });
      context.putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, HEIGHT), 0, 0);
    });
    return () => cancelAnimationFrame(frame);
  }, [view, fills, hidden, first, last, whole, width]);
  const length = whole.to - whole.from;
  const timeAt = (clientX: number) => {
    const { left, width: wide } = strip.current?.getBoundingClientRect() ?? { left: 0, width: 1 };
    return whole.from + (Math.max(0, Math.min(wide, clientX - left)) / Math.max(1, wide)) * length;
  };
  const part = (time: number) => Math.max(0, Math.min(100, ((time - whole.from) / length) * 100));
  const onPointerDown = (event: PointerEvent) => {
    if (strip.current) dragOver(strip.current, event, timeAt, (from, to) => model.setStretch({ from, to }));
  };
  return (
    <section class="trace-minimap" aria-label={text.minimap}>
      <div ref={strip} class="trace-strip" title={text.minimapHint} onPointerDown={onPointerDown}>
        <canvas ref={canvas} width={width} height={HEIGHT} role="img" aria-label={text.minimap} />
        <span class="trace-shade" style={{ left: 0, width: `${part(stretch.from)}%` }} />
        <span class="trace-shade" style={{ right: 0, width: `${100 - part(stretch.to)}%` }} />
        <Handle model={model} end="from" timeAt={timeAt} left={part(stretch.from)} />
        <Handle model={model} end="to" timeAt={timeAt} left={part(stretch.to)} />
      </div>
      <StretchFields model={model} />
    </section>
  );
}

function useWidth(element: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!element.current) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** A stretch with one of its ends elsewhere: never beyond the other, nor outside of the whole. */
function withEnd({ from, to }: Stretch, whole: Stretch, end: 'from' | 'to', time: number): Stretch {
  if (end === 'from') return { from: Math.max(whole.from, Math.min(time, to - 1)), to };
  return { from, to: Math.min(whole.to, Math.max(time, from + 1)) };
}

function Handle({ model, end, timeAt, left }: { model: Model; end: 'from' | 'to'; timeAt: (x: number) => number; left: number }) {
  const { stretch, whole } = model;
  const latest = useRef(model);
  latest.current = model;
  const move = (time: number) => {
    const { stretch, whole, setStretch } = latest.current;
    setStretch(withEnd(stretch, whole, end, time));
  };
  const onPointerDown = (event: PointerEvent) => {
    event.stopPropagation();
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
  };
  const onPointerMove = (event: PointerEvent) => {
    if ((event.currentTarget as HTMLElement).hasPointerCapture(event.pointerId)) move(timeAt(event.clientX));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = (whole.to - whole.from) * KEY_STEP;
    if (event.key === 'ArrowLeft') move(stretch[end] - step);
    else if (event.key === 'ArrowRight') move(stretch[end] + step);
    else if (event.key === 'Home') move(whole.from);
    else if (event.key === 'End') move(whole.to);
    else return;
    event.preventDefault();
  };
  return (
    <span
      class={`trace-handle trace-handle-${end}`}
      style={{ left: `${left}%` }}
      role="slider"
      tabIndex={0}
      aria-label={end === 'from' ? text.fromHandle : text.toHandle}
      aria-valuemin={Math.round(whole.from)}
      aria-valuemax={Math.round(whole.to)}
      aria-valuenow={Math.round(stretch[end])}
      aria-valuetext={formatDuration(stretch[end])}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onKeyDown={onKeyDown}
    />
  );
}

function StretchFields({ model }: { model: Model }) {
  const { stretch, whole } = model;
  const isWhole = stretch.from <= whole.from && stretch.to >= whole.to;
  return (
    <div class="trace-stretch">
      <TimeField model={model} end="from" label={text.from} />
      <TimeField model={model} end="to" label={text.to} />
      <button type="button" aria-label={text.zoomIn} title={text.zoomIn} onClick={() => model.zoom(0.5)}>
        +
      </button>
      <button type="button" aria-label={text.zoomOut} title={text.zoomOut} disabled={isWhole} onClick={() => model.zoom(2)}>
        −
      </button>
      <button type="button" disabled={isWhole} onClick={() => model.setStretch(whole)}>
        {text.wholeStretch}
      </button>
    </div>
  );
}

/** A time as it is written, taken when the field is left or Enter is pressed. */
function TimeField({ model, end, label }: { model: Model; end: 'from' | 'to'; label: string }) {
  const [wrong, setWrong] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const shown = exactly(model.stretch[end]);
  const show = (time: string) => {
    setWrong(false);
    if (field.current) field.current.value = time;
  };
  // Not the field's own value: what is half written would be lost whenever something else is drawn anew.
  useLayoutEffect(() => show(shown), [shown]);
  const take = () => {
    const written = field.current?.value.trim() ?? '';
    const time = /^0\s*(s|ms|us|μs|µs|)$/.test(written) ? 0 : parseDuration(written);
    if (time === null) return setWrong(true);
    const stretch = withEnd(model.stretch, model.whole, end, time);
    show(exactly(stretch[end]));
    model.setStretch(stretch);
  };
  return (
    <label>
      {label}{' '}
      <input
        ref={field}
        aria-invalid={wrong}
        title={wrong ? text.notADuration : undefined}
        spellcheck={false}
        autocomplete="off"
        onChange={take}
      />
    </label>
  );
}

/** So exact that writing it again changes nothing. */
function exactly(micros: number): string {
  const time = Math.round(micros);
  if (time >= 1_000_000 && time % 10_000 === 0) return `${time / 1_000_000}s`;
  return time >= 1000 ? `${time / 1000}ms` : `${time}us`;
}
