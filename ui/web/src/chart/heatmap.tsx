/** Durations over time as a heatmap with a logarithmic axis, percentiles as lines on it, and what its shades mean. */
import { digits } from '../format';
import type { Band } from './bands';
import { type Heat, strength } from './heat';
import { text } from './text';
import { TimeChart, type TimeLine, type TimeSteps } from './time-chart';

interface Properties {
  label: string;
  steps: TimeSteps;
  lines: TimeLine[];
  /** Absent: percentiles only. */
  heat: Heat | null;
  bands: readonly Band[];
  format: (value: number) => string;
  group: string;
  /** Somebody wants to see what is in a cell: milliseconds since the epoch, microseconds. */
  onPick: (at: number, duration: number) => void;
}

export function Heatmap({ heat, ...chart }: Properties) {
  return (
    <>
      <TimeChart {...chart} {...(heat && { heat })} logarithmic height={280} />
      {heat && <Scale most={heat.most} />}
    </>
  );
}

/** Shades of the scale: shares of the fullest cell. */
const SHADES = [0, 0.1, 0.25, 0.5, 1];

function Scale({ most }: { most: number }) {
  const counts = [...new Set(SHADES.map((share) => Math.max(1, Math.round(most * share))))];
  return (
    <p class="heat-scale">
      {text.requestsACell}
      {counts.map((count) => (
        <span key={count} class="chart-key">
          <svg width="16" height="12" aria-hidden="true">
            <rect width="16" height="12" fill="var(--heat-1)" fill-opacity={strength(count, most)} />
          </svg>
          <span class="numbers">{digits(count)}</span>
        </span>
      ))}
    </p>
  );
}
