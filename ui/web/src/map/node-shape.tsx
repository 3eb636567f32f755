/** A service on the map: its name, how busy, slow and wrong it is, and which versions it runs. */
import { formatChange, formatDuration, formatRate, formatShare } from '../format';
import { type NodeFigures, toneOf } from './figures';
import { NODE_HEIGHT, NODE_WIDTH } from './layout';
import { text } from './text';

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
  const classes = ['map-node', chosen && 'chosen', !reports && 'silent', `tone-${tone}`].filter(Boolean).join(' ');
  return (
    <g
      class={classes}
      data-node={index}
      transform={`translate(${at.x - NODE_WIDTH / 2} ${at.y - NODE_HEIGHT / 2})`}
      role="button"
      tabIndex={reachable ? 0 : -1}
      aria-pressed={chosen}
      aria-label={text.nodeLabel(cut(serviceName, 200), facts(figures))}
      onClick={() => onChoose(serviceName)}
    >
      {rolling && <rect class="map-ring" x={-5} y={-5} width={NODE_WIDTH + 10} height={NODE_HEIGHT + 10} rx={9} />}
      <rect class="map-box" width={NODE_WIDTH} height={NODE_HEIGHT} rx={4} />
      <title>{cut(serviceName, 500)}</title>
      <text class="map-name" x={10} y={20} direction="ltr">
        {regressed && <tspan class="map-cross">✖ </tspan>}
        {cut(serviceName, NAME_CHARACTERS)}
      </text>
      <text class="map-facts" x={10} y={38}>
        {formatRate(figures.rate)}
        {figures.p95 !== undefined && ` · ${text.p95Of(formatDuration(figures.p95))}`}
        {figures.errorShare ? <tspan class="map-errors">{` · ${text.errorsShort(formatShare(figures.errorShare))}`}</tspan> : null}
      </text>
      <text class="map-facts map-versions" x={10} y={55}>
        {change ? (
          <tspan class="map-change">{`${tone === 'worse' ? '▲ ' : tone === 'better' ? '▼ ' : ''}${text.p95Of(formatChange(change.difference))}`}</tspan>
        ) : (
          `${shown.join(', ')}${more > 0 ? ` +${more}` : ''}`
        )}
      </text>
    </g>
  );
}

function facts({ rate, p95, errorShare, versions, rolling, regressed, change, reports }: NodeFigures): string[] {
  return [
    text.rateOf(formatRate(rate)),
    ...(p95 === undefined ? [] : [text.p95Of(formatDuration(p95))]),
    ...(errorShare ? [text.errorsOf(formatShare(errorShare))] : []),
    ...versions.slice(0, VERSIONS_SHOWN).map(({ version }) => text.versionOf(cut(version, VERSION_CHARACTERS))),
    ...(change ? [text.changeOf(formatChange(change.difference))] : []),
    ...(regressed ? [text.regressed] : []),
    ...(rolling ? [text.rolling] : []),
    ...(reports ? [] : [text.legendSilent]),
  ];
}

export function cut(name: string, characters: number): string {
  return name.length > characters ? `${name.slice(0, characters - 1)}…` : name;
}
