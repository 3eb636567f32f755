/** Calls between two services on the map: how many, how slow, how many fail. */
import type { DependencyConfig } from '../api';
import type { DependencyLink } from '../api/services';
import { type Delta, toneOf } from './figures';
import { healthOf } from './graph';
import { type At, loopPath, pathThrough } from './geometry';
import { labelOf, titleOf } from './words';

interface Properties {
  link: DependencyLink;
  line: { points: At[]; label: At };
  width: number;
  change: Delta | undefined;
  rates: DependencyConfig;
  faded: boolean;
}

export function LinkShape({ link, line, width, change, rates, faded }: Properties) {
  const health = healthOf(link, rates.lowErrorRate, rates.highErrorRate);
  const tone = toneOf(change);
  const label = labelOf(link, change);
  return (
    <g class={`map-link health-${health} tone-${tone} ${faded ? 'faded' : ''}`} aria-hidden="true">
      <title>{titleOf(link)}</title>
      <path class="map-line" d={link.parent === link.child ? loopPath(line.points) : pathThrough(line.points)} stroke-width={width} />
      <path class="map-head" d={headAt(line.points, link.parent === link.child, width)} />
      {label !== '' && (
        <text class="map-label" x={line.label.x} y={line.label.y - (link.parent === link.child ? -4 : width / 2 + 4)}>
          {label}
        </text>
      )}
    </g>
  );
}

/** The tip of an arrow at the end of a line, which arrives level; that of a loop arrives from above. */
function headAt(points: readonly At[], loop: boolean, width: number): string {
  const [before, end] = points.slice(-2);
  if (!before || !end) return '';
  const size = 6 + width;
  const half = size / 2;
  if (loop) return `M${end.x} ${end.y}l${-half} ${-size}h${size}Z`;
  const back = end.x >= before.x ? -size : size;
  return `M${end.x} ${end.y}l${back} ${-half}v${size}Z`;
}
