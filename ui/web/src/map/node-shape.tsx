/** A service on the map: its name, how busy, slow and wrong it is, and which versions it runs. */
import { formatChange, formatDuration, formatRate, formatShare } from '../format';
import { type NodeFigures, toneOf } from './figures';
import { NODE_HEIGHT, NODE_WIDTH } from './geometry';
import { text } from './text';
import { cut } from './words';

interface Properties {
  index: number;
  serviceName: string;
  figures: NodeFigures;
  /** Its middle. */
  at: { x: number; y: number };
  chosen: boolean;
  /** The one that the tab key comes to. */
  reachable: boolean;
  onChoose: (serviceName: string) => void;
}

const NAME_CHARACTERS = 27;
const VERSIONS_SHOWN = 2;
const VERSION_CHARACTERS = 12;

export function NodeShape({ index, serviceName, figures, at, chosen, reachable, onChoose }: Properties) {
  const { versions, reports, rolling, regressed, change } = figures;
  const tone = toneOf(change);
  const shown = versions.slice(0, VERSIONS_SHOWN).map(({ version }) => cut(version, VERSION_CHARACTERS));
  const more = versions.length - shown.length;
  const name = cut(serviceName || text.unnamed, NAME_CHARACTERS);
  const busy = [formatRate(figures.rate), ...(figures.p95 === undefined ? [] : [text.p95Of(formatDuration(figures.p95))])].join(' · ');
  const errors = figures.errorShare ? ` · ${text.errorsShort(formatShare(figures.errorShare))}` : '';
  const last = change
    ? `${tone === 'worse' ? '▲ ' : tone === 'better' ? '▼ ' : ''}${text.p95Of(formatChange(change.difference))}`
    : `${shown.join(', ')}${more > 0 ? ` +${more}` : ''}`;
  const classes = ['map-node', chosen && 'chosen', !reports && 'silent', `tone-${tone}`].filter(Boolean).join(' ');
  return (
    <g
      class={classes}
      data-node={index}
      transform={`translate(${at.x - NODE_WIDTH / 2} ${at.y - NODE_HEIGHT / 2})`}
      role="button"
      tabindex={reachable ? 0 : -1}
      aria-pressed={chosen}
      aria-description={marks(figures).join(', ') || undefined}
      onClick={() => onChoose(serviceName)}
    >
      {rolling && <rect class="map-ring" x={-5} y={-5} width={NODE_WIDTH + 10} height={NODE_HEIGHT + 10} rx={9} />}
      <rect class="map-box" width={NODE_WIDTH} height={NODE_HEIGHT} rx={4} />
      <text class="map-name" x={10} y={20} direction="ltr">
        {regressed && <tspan class="map-cross">✖ </tspan>}
        {`${name} `}
      </text>
      <text class="map-facts" x={10} y={38}>
        {busy}
        {errors !== '' && <tspan class="map-errors">{errors}</tspan>}{' '}
      </text>
      <text class={`map-facts ${change ? 'map-change' : 'map-versions'}`} x={10} y={55}>
        {last}
      </text>
    </g>
  );
}

/** What is told by frames and dashes, in words. */
function marks({ rolling, regressed, reports }: NodeFigures): string[] {
  return [...(regressed ? [text.regressed] : []), ...(rolling ? [text.rolling] : []), ...(reports ? [] : [text.legendSilent])];
}
