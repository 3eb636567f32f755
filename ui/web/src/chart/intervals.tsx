/**
 * Values with their intervals, one a row, on one scale with a line at zero: as dots with whiskers, or as bars that
 * follow each other. Goes inside a `ChartFrame`, which has the same as a table.
 */
import type { ComponentChildren } from 'preact';

import './intervals.css';
import { linearScale, niceDomain } from './scale';

/** Which colour says what kind of value it is; the sign and the words say it too. */
export type IntervalTone = 'worse' | 'better' | 'neutral' | 'total';

export interface IntervalRow {
  key: string;
  label: ComponentChildren;
  /** What is written at the end of the row. */
  value: string;
  tone: IntervalTone;
  /** Where the dot is, or where the bar ends. */
  to: number;
  /** Where the bar begins; a row without it is a dot. */
  from?: number;
  /** Ends of the whisker. */
  low?: number;
  high?: number;
}

interface Properties {
  rows: IntervalRow[];
  format: (value: number) => string;
  /** What is shaded behind every row: values that say nothing. */
  noise?: { low: number; high: number };
}

/** How many lines the scale has, about. */
const TICKS = 4;

/** Nearer to an end than this, percent, what is written would be cut in a narrow window. */
const EDGE = 4;

export function Intervals({ rows, format, noise }: Properties) {
  const values = [noise?.low ?? 0, noise?.high ?? 0, ...rows.flatMap(({ from, to, low, high }) => [from ?? 0, to, low ?? to, high ?? to])];
  const scale = linearScale(niceDomain([Math.min(0, ...values), Math.max(0, ...values)], TICKS), [1, 99]);
  const ticks = scale.ticks(TICKS);
  return (
    <div class="intervals">
      {rows.map((row) => (
        <div class="interval-row" key={row.key}>
          <span class="interval-label">{row.label}</span>
          <svg class={`interval-plot tone-${row.tone}`} width="100%" height="24" aria-hidden="true">
            {noise && <rect class="noise" x={`${scale(noise.low)}%`} width={`${scale(noise.high) - scale(noise.low)}%`} y="0" height="24" />}
            {ticks.map((tick) => (
              <Line key={tick} class={tick === 0 ? 'zero' : 'grid'} x={scale(tick)} />
            ))}
            <Mark row={row} scale={scale} />
          </svg>
          <span class="interval-value">{row.value}</span>
        </div>
      ))}
      <div class="interval-row" aria-hidden="true">
        <span class="interval-label" />
        <div class="interval-axis">
          {ticks.map((tick) => (
            <span key={tick} class={scale(tick) < EDGE ? 'first' : scale(tick) > 100 - EDGE ? 'last' : ''} style={{ left: `${scale(tick)}%` }}>
              {format(tick)}
            </span>
          ))}
        </div>
        <span class="interval-value" />
      </div>
    </div>
  );
}

function Line({ x, class: className }: { x: number; class: string }) {
  return <line class={className} x1={`${x}%`} x2={`${x}%`} y1="0" y2="24" />;
}

function Mark({ row, scale }: { row: IntervalRow; scale: (value: number) => number }) {
  const { from, to, low, high } = row;
  const x = scale(to);
  const [left, right] = from === undefined ? [x, x] : [Math.min(scale(from), x), Math.max(scale(from), x)];
  return (
    <>
      {from !== undefined && <rect class="bar" x={`${left}%`} width={`${Math.max(0.2, right - left)}%`} y="5" height="14" />}
      {low !== undefined && high !== undefined && (
        <>
          <line class="whisker" x1={`${scale(low)}%`} x2={`${scale(high)}%`} y1="12" y2="12" />
          <line class="whisker" x1={`${scale(low)}%`} x2={`${scale(low)}%`} y1="8" y2="16" />
          <line class="whisker" x1={`${scale(high)}%`} x2={`${scale(high)}%`} y1="8" y2="16" />
        </>
      )}
      {from === undefined && <circle class="dot" cx={`${x}%`} cy="12" r="5" />}
    </>
  );
}
