/** What colours, dashes and widths on the map mean; each is told in words, too, where it is used. */
import type { DependencyConfig } from '../api';
import { formatShare } from '../format';
import type { Comparison } from './figures';
import { text } from './text';

interface Properties {
  comparison: Comparison;
  rates: DependencyConfig;
  partial: boolean;
  /** The server tells durations of calls. */
  timed: boolean;
}

export function Legend({ comparison, rates, partial, timed }: Properties) {
  return (
    <div class="map-legend" role="group" aria-label={text.legend}>
      <Line class="" width={5} name={text.legendWidth} />
      <Line class="health-some" width={3} name={text.legendSome(formatShare(rates.lowErrorRate))} />
      <Line class="health-many" width={3} name={text.legendSome(formatShare(rates.highErrorRate))} />
      {partial && <Line class="map-partial" width={3} name={text.legendPartial} />}
      <Box class="silent" name={text.legendSilent} />
      <Box class="rolling" name={text.legendRolling} />
      {comparison !== 'none' && (
        <>
          <Box class="tone-worse" name={text.legendWorse} />
          <Box class="tone-better" name={text.legendBetter} />
          <span class="muted">{text.legendUntested}</span>
        </>
      )}
      {!timed && <span class="muted">{text.noLinkTimes}</span>}
    </div>
  );
}

function Line({ class: className, width, name }: { class: string; width: number; name: string }) {
  return (
    <span class="chart-key">
      <svg width="28" height="10" class={className} aria-hidden="true">
        <g class={`map-link ${className}`}>
          <path class="map-line" d="M0 5H28" stroke-width={width} />
        </g>
      </svg>
      {name}
    </span>
  );
}

function Box({ class: className, name }: { class: string; name: string }) {
  return (
    <span class="chart-key">
      <svg width="24" height="16" aria-hidden="true">
        <g class={`map-node ${className}`}>
          {className === 'rolling' && <rect class="map-ring" x="1" y="1" width="22" height="14" rx="4" />}
          <rect class="map-box" x="4" y="4" width="16" height="8" rx="2" />
        </g>
      </svg>
      {name}
    </span>
  );
}
