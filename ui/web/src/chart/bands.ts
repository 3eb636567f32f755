/** Deployments behind a chart: from when they began until the last instance had switched, with what was deployed. */
import type uPlot from 'uplot';

import { tokenColour } from './colours';

export interface Band {
  /** Milliseconds since the epoch. */
  startTs: number;
  /** Absent while it goes on. */
  endTs?: number | null | undefined;
  label: string;
  /** It made something worse. */
  failed: boolean;
}

/** Labels below each other where they would meet; more than this many rows are not written, the table has them. */
const ROWS = 3;

const ROW_PX = 15;

const LABEL_CHARACTERS = 28;

/** A band as short as a moment is still seen. */
const WIDTH_PX_MIN = 3;

interface Placed {
  band: Band;
  left: number;
  width: number;
}

/** Where bands are, in pixels of the canvas; those outside of the chart are left out. */
function placed(chart: uPlot, bands: readonly Band[]): Placed[] {
  const { left, width } = chart.bbox;
  const right = left + width;
  const [min = 0, max = 0] = [chart.scales['x']?.min, chart.scales['x']?.max];
  return bands
    .map((band) => ({ band, end: (band.endTs ?? max * 1000) / 1000 }))
    .filter(({ band, end }) => band.startTs / 1000 < max && end >= min)
    .map(({ band, end }) => {
      const from = Math.max(left, chart.valToPos(band.startTs / 1000, 'x', true));
      const to = Math.min(right, Math.max(from + WIDTH_PX_MIN * devicePixelRatio, chart.valToPos(end, 'x', true)));
      return { band, left: from, width: to - from };
    });
}

/** Before the lines are drawn. */
export function paintBands(chart: uPlot, bands: readonly Band[]): void {
  const { ctx, bbox } = chart;
  ctx.save();
  for (const { band, left, width } of placed(chart, bands)) {
    ctx.fillStyle = tokenColour(band.failed ? '--fail-surface' : '--selected');
    ctx.fillRect(left, bbox.top, width, bbox.height);
    ctx.fillStyle = tokenColour(band.failed ? '--fail' : '--control');
    ctx.fillRect(left, bbox.top, devicePixelRatio, bbox.height);
    ctx.fillRect(left + width - devicePixelRatio, bbox.top, devicePixelRatio, bbox.height);
  }
  ctx.restore();
}

/** After the lines are drawn, so that they can be read. */
export function paintBandLabels(chart: uPlot, bands: readonly Band[]): void {
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui`;
  ctx.textBaseline = 'top';
  ctx.textAlign = 'left';
  const ends = Array.from({ length: ROWS }, () => -Infinity);
  for (const { band, left } of placed(chart, bands)) {
    const label = shortened(`${band.failed ? '✖ ' : ''}${band.label}`);
    const width = ctx.measureText(label).width + 8 * ratio;
    const from = Math.max(bbox.left, Math.min(left, bbox.left + bbox.width - width));
    const row = ends.findIndex((end) => end <= from);
    if (row === -1) continue;
    ends[row] = from + width + 2 * ratio;
    const top = bbox.top + (2 + row * ROW_PX) * ratio;
    ctx.fillStyle = tokenColour('--bg');
    ctx.fillRect(from, top, width, (ROW_PX - 1) * ratio);
    ctx.fillStyle = tokenColour(band.failed ? '--fail' : '--text');
    ctx.fillText(label, from + 4 * ratio, top + 2 * ratio);
  }
  ctx.restore();
}

function shortened(label: string): string {
  return label.length > LABEL_CHARACTERS ? `${label.slice(0, LABEL_CHARACTERS - 1)}…` : label;
}
