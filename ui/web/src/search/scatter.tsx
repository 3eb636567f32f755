/**
 * Durations by time, with deployments as bands. A drag searches a stretch of it, a press on a point opens the trace;
 * keys do the same in the form's fields and in the rows.
 */
import { useMemo, useRef, useState } from 'preact/hooks';
import type uPlot from 'uplot';

import type { TraceSummary } from '../api';
import type { JudgedDeployment } from '../api/schema';
import { paintBandLabels, paintBands } from '../chart/bands';
import { tokenColour } from '../chart/colours';
import { ChartFrame } from '../chart/frame';
import { axisLook, Plot, type PlotOptions } from '../chart/plot';
import { timeLabels } from '../chart/time-axis';
import { formatDuration, formatTime, formatZone } from '../format';
import { navigate } from '../location';
import { bandsOf } from '../rollouts';
import type { Window } from '../time-range';
import { nameOf } from './result-rows';
import { logSplits, nearest, type Point, pointsOf, type Stretch } from './scatter-data';
import { text } from './text';

interface Properties {
  traces: readonly TraceSummary[];
  deployments: readonly JudgedDeployment[];
  window: Window;
  onStretch: (stretch: Stretch) => void;
}

const HEIGHT_PX = 176;

/** Fewer points are read faster in the rows. */
const POINTS_MIN = 3;

/** So much less and more than what there is fits, as factors of a logarithmic scale. */
const HEADROOM = 1.3;

/** How near a press has to be to a point. WCAG's least target is 24 pixels wide. */
const NEAR_PX = 12;

/** A drag in one direction by less than this narrows only the other. */
const DRAG_PX = 24;

interface Tip {
  point: Point;
  left: number;
  top: number;
}

export function Scatter({ traces, deployments, window, onStretch }: Properties) {
  const points = useMemo(() => pointsOf(traces), [traces]);
  const [tip, setTip] = useState<Tip | null>(null);
  const latest = useRef({ onStretch, setTip });
  latest.current = { onStretch, setTip };
  const data = useMemo(
    (): uPlot.AlignedData => [
      points.map(({ x }) => x),
      points.map(({ y, failed }) => (failed ? null : y)),
      points.map(({ y, failed }) => (failed ? y : null)),
    ],
    [points],
  );
  const { startTs, endTs } = window;
  const options = useMemo(
    () => () =>
      plotOptions(points, deployments, { startTs, endTs }, {
        onStretch: (stretch) => latest.current.onStretch(stretch),
        onTip: (tip) => latest.current.setTip(tip),
      }),
    [points, deployments, startTs, endTs],
  );
  if (points.length < POINTS_MIN) return null;
  const durations = points.map(({ y }) => y);
  const failed = points.filter((point) => point.failed).length;
  const now = new Date();
  const summary = text.scatterSummary(
    points.length,
    failed,
    formatDuration(least(durations)),
    formatDuration(durations.reduce((a, b) => Math.max(a, b))),
  );
  return (
    <ChartFrame title={text.scatter} summary={summary} note={text.scatterNote(formatZone(now))} table={tableOf(points, now)}>
      <div class="scatter">
        <Plot height={HEIGHT_PX} data={data} options={options} />
        {tip && (
          <div class="scatter-tip" style={{ left: `${tip.left}px`, top: `${tip.top}px` }}>
            <strong>{formatDuration(tip.point.y)}</strong> {Object.values(nameOf(tip.point.trace)).join(' ').slice(0, 120)}
            <br />
            <span class="muted">{formatTime(tip.point.x * 1_000_000, now)}</span>
          </div>
        )}
      </div>
    </ChartFrame>
  );
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b));
}

function tableOf(points: readonly Point[], now: Date) {
  const { columns } = text;
  return {
    head: [columns.start, columns.duration, columns.trace, columns.errors, text.traceId],
    rows: points.map(({ trace, x, y }) => {
      const { service, span } = nameOf(trace);
      return [formatTime(x * 1_000_000, now), formatDuration(y), `${service} ${span}`, trace.errorCount, trace.traceId];
    }),
  };
}

interface Actions {
  onStretch: (stretch: Stretch) => void;
  onTip: (tip: Tip | null) => void;
}

function plotOptions(points: readonly Point[], deployments: readonly JudgedDeployment[], window: Window, actions: Actions): PlotOptions {
  const look = axisLook();
  // When one that was only seen in spans ended, nobody knows: it is marked where it began.
  const known = deployments.map((one) => (one.inferred ? { ...one, endTs: one.endTs ?? one.startTs } : one));
  const bands = bandsOf(known, Date.now());
  return {
    legend: { show: false },
    padding: [16, 8, 0, 0],
    cursor: {
      points: { show: false },
      drag: { setScale: false, x: true, y: true, uni: DRAG_PX, dist: 5 },
    },
    scales: {
      x: { time: true, range: () => extent(points, window) },
      y: { distr: 3, log: 10, range: (_, low, high) => [low / HEADROOM, high * HEADROOM] },
    },
    axes: [
      { ...look, space: 90, size: 32, values: timeLabels },
      { ...look, size: 70, splits: (_, __, low, high) => logSplits(low, high), filter: (_, splits) => splits, values: (_, splits) => splits.map((split) => (split === null ? '' : formatDuration(split))) },
    ],
    series: [
      {},
      { paths: () => null, points: { show: true, size: 7, width: 0, fill: tokenColour('--brand-soft'), stroke: tokenColour('--brand-soft') } },
      { paths: () => null, points: { show: false } },
    ],
    hooks: {
      drawClear: [(plot) => paintBands(plot, bands)],
      draw: [(plot) => drawFailed(plot, points), (plot) => paintBandLabels(plot, bands)],
      setSelect: [(plot) => stretched(plot, actions.onStretch)],
      ready: [(plot) => listenToPoints(plot, points, actions.onTip)],
    },
  };
}

/**
 * From the first to the last point, within the window: the newest fifty of a day are of its last seconds, and would be
 * a line in it.
 */
function extent(points: readonly Point[], { startTs, endTs }: Window): [number, number] {
  const [first, last] = [points[0]?.x ?? 0, points.at(-1)?.x ?? 0];
  const margin = Math.max(0.5, (last - first) * 0.02);
  return [Math.max(Math.min(first, startTs / 1000), first - margin), Math.min(Math.max(last, endTs / 1000), last + margin)];
}

/** Crosses, not points of another colour only. */
function drawFailed(plot: uPlot, points: readonly Point[]): void {
  const { ctx } = plot;
  const arm = 4 * devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = tokenColour('--fail');
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.beginPath();
  for (const { x, y, failed } of points) {
    if (!failed) continue;
    const [left, top] = [plot.valToPos(x, 'x', true), plot.valToPos(y, 'y', true)];
    ctx.moveTo(left - arm, top - arm);
    ctx.lineTo(left + arm, top + arm);
    ctx.moveTo(left + arm, top - arm);
    ctx.lineTo(left - arm, top + arm);
  }
  ctx.stroke();
  ctx.restore();
}

function stretched(plot: uPlot, onStretch: (stretch: Stretch) => void): void {
  const { left, top, width, height } = plot.select;
  if (width <= 0 || height <= 0) return;
  const whole = { x: plot.over.clientWidth, y: plot.over.clientHeight };
  const stretch: Stretch = {
    ...(width < whole.x && { x: [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')] }),
    ...(height < whole.y && { y: [plot.posToVal(top + height, 'y'), plot.posToVal(top, 'y')] }),
  };
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  if (stretch.x || stretch.y) onStretch(stretch);
}

/** A press is no drag: where the pointer went up is where it went down. */
function listenToPoints(plot: uPlot, points: readonly Point[], onTip: (tip: Tip | null) => void): void {
  const { over } = plot;
  const at = (event: MouseEvent): Point | undefined => {
    const places = points.map(({ x, y }) => ({ left: plot.valToPos(x, 'x'), top: plot.valToPos(y, 'y') }));
    const { left, top } = over.getBoundingClientRect();
    return points[nearest(places, event.clientX - left, event.clientY - top, NEAR_PX)];
  };
  let down = { x: 0, y: 0 };
  over.addEventListener('mousedown', ({ clientX, clientY }) => {
    down = { x: clientX, y: clientY };
  });
  over.addEventListener('mousemove', (event) => {
    const point = at(event);
    over.style.cursor = point ? 'pointer' : 'crosshair';
    onTip(
      point
        ? { point, left: plot.valToPos(point.x, 'x') + over.offsetLeft, top: plot.valToPos(point.y, 'y') + over.offsetTop }
        : null,
    );
  });
  over.addEventListener('mouseleave', () => onTip(null));
  over.addEventListener('click', (event) => {
    if (Math.abs(event.clientX - down.x) + Math.abs(event.clientY - down.y) > 5) return;
    const point = at(event);
    if (point) navigate(`traces/${point.trace.traceId}`);
  });
}
