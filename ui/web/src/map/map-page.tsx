/** Which service calls which, how busy, slow and wrong they are, and what changed: as a picture or as tables. */
import { useEffect, useMemo } from 'preact/hooks';

import type { DependencyConfig, UiConfig } from '../api';
import type { DependencyLink } from '../api/services';
import { changeParameters } from '../location';
import { Failure, Waiting } from '../shell/asked';
import { Message } from '../shell/message';
import { PageTime } from '../shell/page-time';
import { timeRangeParameters } from '../time-range';
import { type AskedWindow, useAskedWindow, useWindowText } from '../window';
import { Controls } from './controls';
import { Details } from './details';
import { Drawing } from './drawing';
import { busiest, drawable, type Graph, graphOf, neighbourhood, NODES_MAX } from './graph';
import { Legend } from './legend';
import { type MapState, mapState } from './map-state';
import { MapTable } from './map-table';
import { text } from './text';
import { useLayout } from './use-layout';
import { type MapFigures, useLinks, useMapFigures } from './use-map';

interface Properties {
  config: UiConfig;
  search: string;
}

/** Zipkin's own. */
const RATES: DependencyConfig = { enabled: true, lowErrorRate: 0.5, highErrorRate: 0.75 };

const WEEK_MS = 604_800_000;

export function MapPage({ config, search }: Properties) {
  useEffect(() => {
    document.title = `${text.map} · Tracehound`;
  }, []);
  const rates = config.dependency ?? RATES;
  return (
    <main class="page map-page">
      <h1>{text.map}</h1>
      {rates.enabled ? (
        <ServiceMap config={config} search={search} rates={rates} />
      ) : (
        <Message title={text.off}>
          <p>{text.offWhy}</p>
        </Message>
      )}
    </main>
  );
}

function ServiceMap({ config, search, rates }: Properties & { rates: DependencyConfig }) {
  const asked = useAskedWindow(search, config.defaultLookback);
  const state = useMemo(() => mapState(search), [search]);
  const links = useLinks(asked);
  const whole = useMemo(() => (links.answer ? graphOf(links.answer.body) : null), [links.answer]);
  const names = useMemo(() => (whole ? whole.nodes.map(({ serviceName }) => serviceName).sort() : []), [whole]);
  const missing = links.answer?.missing ?? null;
  return (
    <>
      <PageTime asked={asked} />
      <Controls state={state} names={names} />
      <Failure request={links} />
      {!whole && links.slow && <Waiting />}
      {missing !== null && <p class="note">{text.partial(missing)}</p>}
      {whole && whole.nodes.length === 0 && <NoCalls asked={asked} />}
      {whole && whole.nodes.length > 0 && <Calls whole={whole} state={state} asked={asked} search={search} rates={rates} partial={missing !== null} stale={links.slow || links.error !== undefined} />}
    </>
  );
}

function NoCalls({ asked }: { asked: AskedWindow }) {
  return (
    <Message title={text.none}>
      <p>{text.noneWhy}</p>
      <button type="button" onClick={() => changeParameters(timeRangeParameters({ lookback: WEEK_MS, endTs: asked.range.endTs }), 'push')}>
        {text.widen}
      </button>
    </Message>
  );
}

interface CallsProperties {
  whole: Graph;
  state: MapState;
  asked: AskedWindow;
  search: string;
  rates: DependencyConfig;
  partial: boolean;
  stale: boolean;
}

function Calls({ whole, state, asked, search, rates, partial, stale }: CallsProperties) {
  const { serviceName, depth, comparison, table } = state;
  const known = serviceName !== null && whole.nodes.some((node) => node.serviceName === serviceName);
  // What is too much to draw begins with what is around a service.
  const reach = known && depth === 'all' && whole.nodes.length > NODES_MAX ? 1 : depth;
  const graph = useMemo(() => (known && reach !== 'all' ? neighbourhood(whole, serviceName, reach) : whole), [whole, known, serviceName, reach]);
  const shown = useMemo(() => drawable(graph, serviceName), [graph, reach === 'all' ? null : serviceName]);
  const tooMany = graph === whole && whole.nodes.length > NODES_MAX;
  const figures = useMapFigures(asked, whole.links, tooMany && !table ? NOTHING : shown.nodes, comparison);
  const window = useWindowText(asked);
  const calls = graph.links.reduce((sum, { callCount }) => sum + callCount, 0);
  return (
    <>
      {serviceName !== null && !known && <p class="note">{text.unknown(serviceName)}</p>}
      <div class={known ? 'map-with-details' : ''}>
        <div class="map-main">
          {table ? (
            <MapTable graph={graph} figures={figures} asked={asked} search={search} />
          ) : tooMany ? (
            <TooMany whole={whole} />
          ) : (
            <Picture graph={shown} all={shown.all} figures={figures} state={state} rates={rates} partial={partial} stale={stale} />
          )}
        </div>
        {known && <Details serviceName={serviceName} links={whole.links} figures={figures} asked={asked} />}
      </div>
      <p class="chart-note">{text.note(window, calls)}</p>
    </>
  );
}

const NOTHING: Graph['nodes'] = [];

/** How many are offered to begin with. */
const OFFERED = 20;

function TooMany({ whole }: { whole: Graph }) {
  return (
    <Message title={text.tooMany(whole.nodes.length)}>
      <p>{text.tooManyWhy(NODES_MAX)}</p>
      <h3>{text.busiest}</h3>
      <Begin names={busiest(whole).slice(0, OFFERED).map((node) => node.serviceName)} />
    </Message>
  );
}

function Begin({ names }: { names: readonly string[] }) {
  return (
    <p class="map-ways">
      {names.map((name) => (
        <button key={name} type="button" class="map-other" onClick={() => changeParameters({ service: name, depth: '1' }, 'push')}>
          <bdi>{name}</bdi>
        </button>
      ))}
    </p>
  );
}

interface PictureProperties {
  graph: Graph;
  all: number;
  figures: MapFigures;
  state: MapState;
  rates: DependencyConfig;
  partial: boolean;
  stale: boolean;
}

function Picture({ graph, all, figures, state, rates, partial, stale }: PictureProperties) {
  const { drawn, working, failed } = useLayout(graph);
  if (failed) {
    return (
      <Message title={text.tooTangled}>
        <p>{text.tooTangledWhy}</p>
        <Begin names={busiest(graph).slice(0, OFFERED).map((node) => node.serviceName)} />
      </Message>
    );
  }
  return (
    <>
      <p class="chart-summary">
        {text.summary(graph.nodes.length, graph.links.length)} {text.keys} {all > graph.nodes.length && text.cut(graph.nodes.length, all)}
      </p>
      {working && !drawn && <p role="status">{text.drawing}</p>}
      {drawn && <Drawing drawn={drawn} figures={figures} chosen={state.serviceName} zoom={state.zoom} rates={rates} partial={partial} stale={stale || working} />}
      <Legend comparison={state.comparison} rates={rates} partial={partial} timed={hasTimes(graph.links)} />
    </>
  );
}

function hasTimes(links: readonly DependencyLink[]): boolean {
  return links.some(({ p95 }) => p95 !== undefined);
}
