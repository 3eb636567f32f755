/**
 * Lines over time, deployments as bands behind them, and perhaps a heatmap below: what charts of services have in
 * common. Every chart of a page that has the same `group` shows its crosshair at the same moment. The arrow keys move
 * it, too, and what is there is read out.
 */
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import type uPlot from 'uplot';

import { formatClock, zonedDate } from '../format';
import { type Band, paintBandLabels, paintBands } from './bands';
import { tokenColour } from './colours';
import { type Heat, paintHeat } from './heat';
import { axisLook, Plot, type PlotOptions } from './plot';
import { text } from './text';
import { timeLabels } from './time-axis';

export interface TimeLine {
  label: string;
  /** One a step; nothing where there is nothing to tell. */
  values: (number | null | undefined)[];
  /** A token of `style/tokens.css`. */
  token: string;
  /** Lengths of dashes and gaps: what tells lines apart without their colours. */
  dash?: number[];
}

/** What charts of one window share: keep the object, or everything is drawn at every render. */
export interface TimeSteps {
  /** When each step begins, milliseconds since the epoch. */
  starts: number[];
  /** Milliseconds. */
  step: number;
}

interface Properties {
  /** What it is, for who does not see it. */
  label: string;
  steps: TimeSteps;
  lines: TimeLine[];
  bands?: readonly Band[];
  heat?: Heat;
  /** Values in words. */
  format: (value: number) => string;
  logarithmic?: boolean;
  /** Charts with the same crosshair. */
  group: string;
  /** The axis of a linear one goes up to this at least. */
  least?: number;
  height?: number;
  /** Somebody wants to see what is at a moment, a value: milliseconds since the epoch, as the lines have it. */
  onPick?: (at: number, value: number) => void;
}

const NO_BANDS: readonly Band[] = [];

export function TimeChart(properties: Properties) {
  const { label, steps, lines, bands = NO_BANDS, heat, format, logarithmic, group, least = 1, height = 180, onPick } = properties;
  const [shown, setShown] = useState<number | null>(null);
  const plot = useRef<uPlot | null>(null);
  const pick = useRef(onPick);
  pick.current = onPick;
  const data = useMemo(() => alignedData(steps, lines, heat !== undefined), [steps, lines, heat]);
  const options = useCallback((): PlotOptions => {
    const behind = (chart: uPlot) => {
      paintBands(chart, bands);
      if (heat) paintHeat(chart, heat, steps);
    };
    return {
      legend: { show: false },
      cursor: { sync: { key: group }, drag: { x: false, y: false }, y: heat !== undefined, points: { size: 6 } },
      tzDate: (seconds) => zonedDate(seconds * 1000),
      scales: { x: { time: true, range: () => wholeRange(steps) }, y: yScale(logarithmic, heat, bands.length > 0, least) },
      axes: [
        { ...axisLook(), values: timeLabels, space: 70, size: 40 },
        { ...axisLook(), ...(logarithmic && { splits: decadeTicks }), values: (_, splits) => splits.map((value) => (value == null ? '' : format(value))), size: 72 },
      ],
      series: [{}, ...lines.flatMap((line) => (heat ? [halo(), seriesOf(line)] : [seriesOf(line)]))],
      hooks: {
        ready: [(chart) => void (plot.current = chart), (chart) => listen(chart, pick)],
        drawClear: [behind],
        draw: [(chart) => paintBandLabels(chart, bands)],
        setCursor: [(chart) => setShown(chart.cursor.idx ?? null)],
        destroy: [() => void (plot.current = null)],
      },
    };
  }, [steps, lines, bands, heat, format, logarithmic, group, least]);
  const last = steps.starts.length - 1;
  const at = shown === null ? null : Math.min(shown, last);
  const move = (index: number) => moveCursor(plot.current, steps, Math.max(0, Math.min(last, index)));
  const onKeyDown = (event: KeyboardEvent) => {
    const target = keyTarget(event.key, at ?? last, last);
    if (target !== null) move(target);
    else if (event.key === 'Enter' && at !== null && pick.current) pick.current(middle(steps, at) * 1000, highest(lines, at));
    else return;
    event.preventDefault();
  };
  return (
    <div
      class={`time-chart ${onPick ? 'time-chart-picked' : ''}`}
      role="slider"
      tabIndex={0}
      aria-label={text.moment(label)}
      aria-valuemin={0}
      aria-valuemax={Math.max(0, last)}
      aria-valuenow={at ?? Math.max(0, last)}
      aria-valuetext={valueText(steps, lines, at ?? last, format)}
      onKeyDown={onKeyDown}
    >
      <Legend lines={lines} steps={steps} at={at} format={format} />
      <Plot height={height} data={data} options={options} />
    </div>
  );
}

/** Where a key moves the crosshair to; `null` of other keys. */
function keyTarget(key: string, at: number, last: number): number | null {
  const targets: Record<string, number> = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowDown: at - 1, ArrowUp: at + 1, Home: 0, End: last };
  return targets[key] ?? null;
}

/** Seconds since the epoch: what is of a step is drawn in its middle. */
function middle({ starts, step }: TimeSteps, index: number): number {
  return ((starts[index] ?? 0) + step / 2) / 1000;
}

function alignedData(steps: TimeSteps, lines: readonly TimeLine[], twice: boolean): uPlot.AlignedData {
  const values = lines.flatMap((line) => {
    // What is absent is a gap only as `null`: else a line is drawn across it.
    const told = line.values.map((value) => value ?? null);
    return twice ? [told, told] : [told];
  });
  return [steps.starts.map((_, index) => middle(steps, index)), ...values];
}

function wholeRange({ starts, step }: TimeSteps): [number, number] {
  const first = starts[0] ?? 0;
  return [first / 1000, ((starts.at(-1) ?? first) + step) / 1000];
}

/** Linear ones begin at 0: a cut axis makes small changes look large. Above is room for what stands on bands. */
function yScale(logarithmic: boolean | undefined, heat: Heat | undefined, banded: boolean, least: number): uPlot.Scale {
  if (!logarithmic) return { range: (_, min, max) => [Math.min(0, min * 1.1), Math.max(least, max) * (banded ? 1.3 : 1.1)] };
  return {
    distr: 3,
    range: (_, min, max) => {
      const low = Math.min(min > 0 ? min : Infinity, heat?.low ?? Infinity);
      const high = Math.max(max > 0 ? max : 0, heat?.high ?? 0);
      return high > 0 ? [low / 1.2, high * (banded ? 2 : 1.3)] : [1000, 1_000_000];
    },
  };
}

/** 1, 2 and 5 of every decade; only 1 where there are many. */
function decadeTicks(_: uPlot, __: number, min: number, max: number): number[] {
  const [from, to] = [Math.floor(Math.log10(min)), Math.ceil(Math.log10(max))];
  const decades = Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
  const factors = decades.length > 4 ? [1] : [1, 2, 5];
  return decades.flatMap((decade) => factors.map((factor) => factor * decade)).filter((tick) => tick >= min && tick <= max);
}

function seriesOf({ label, token, dash }: TimeLine): uPlot.Series {
  const stroke = tokenColour(token);
  return { label, stroke, width: 2, ...(dash && { dash }), points: { size: 4, fill: stroke, stroke } };
}

/** Below a line on a heatmap, whose cells may be of any shade. */
function halo(): uPlot.Series {
  return { stroke: tokenColour('--bg'), width: 5, points: { show: false } };
}

/** A click says which moment and value it was at. */
function listen(chart: uPlot, pick: { current: Properties['onPick'] | undefined }): void {
  chart.over.addEventListener('click', () => {
    const { left = -1, top = -1 } = chart.cursor;
    if (left >= 0) pick.current?.(chart.posToVal(left, 'x') * 1000, chart.posToVal(top, 'y'));
  });
}

function moveCursor(chart: uPlot | null, steps: TimeSteps, index: number): void {
  if (!chart) return;
  const left = chart.valToPos(middle(steps, index), 'x');
  chart.setCursor({ left, top: chart.over.clientHeight / 2 }, true);
}

function highest(lines: readonly TimeLine[], index: number): number {
  return Math.max(0, ...lines.map(({ values }) => values[index] ?? 0));
}

function valueText(steps: TimeSteps, lines: readonly TimeLine[], index: number, format: (value: number) => string): string {
  const start = steps.starts[index];
  if (start === undefined) return text.nothing;
  const values = lines.map(({ label, values }) => `${label} ${shownValue(values[index], format)}`);
  return `${formatClock(start, new Date())}: ${values.join(', ')}`;
}

function shownValue(value: number | null | undefined, format: (value: number) => string): string {
  return value == null ? '–' : format(value);
}

interface LegendProperties {
  lines: readonly TimeLine[];
  steps: TimeSteps;
  at: number | null;
  format: (value: number) => string;
}

/** Which line is which, and what they say at the crosshair. */
function Legend({ lines, steps, at, format }: LegendProperties) {
  const start = at === null ? undefined : steps.starts[at];
  return (
    <p class="chart-legend" aria-hidden="true">
      {lines.map(({ label, token, dash, values }) => (
        <span key={label} class="chart-key">
          <svg width="24" height="8">
            <line x1="0" x2="24" y1="4" y2="4" stroke={`var(${token})`} stroke-width="2" stroke-dasharray={dash?.join(' ')} />
          </svg>
          <bdi class="chart-key-name">{label}</bdi>
          {at !== null && <b>{shownValue(values[at], format)}</b>}
        </span>
      ))}
      {start !== undefined && <span class="muted numbers">{text.at(formatClock(start, new Date()))}</span>}
    </p>
  );
}
