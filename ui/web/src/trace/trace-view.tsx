/** A trace that is loaded, wherever from: its header, its notes, and the view of it that the address says. */
import { useEffect, useMemo, useState } from 'preact/hooks';

import type { UiConfig } from '../api';
import { useThemeName } from '../chart/colours';
import { useSettings } from '../settings';
import { VersionBanner } from './banner';
import { filled, linkValues } from './export';
import { Flame } from './flame';
import { TraceHeader } from './header';
import { useTraceKeys } from './keys';
import type { Loaded, TraceLoad } from './load';
import { Minimap } from './minimap';
import { type Model, useModel } from './model';
import { brief, nameOf, serviceOf } from './names';
import { Notes } from './notes';
import { OperationTable } from './operation-table';
import { fillsOf, readPalette } from './palette';
import { SpanDetails } from './span-details';
import type { SpanSource } from './span-request';
import { type ChangeState, type TraceState, useTraceState } from './state';
import { text } from './text';
import { Timeline } from './timeline';
import { boundedWidth, NAME_WIDTH_LEAST, NAME_WIDTH_MOST, Toolbar } from './toolbar';

interface Properties {
  config: UiConfig;
  load: TraceLoad;
  loaded: Loaded;
  source: SpanSource;
  /** The address's query. */
  search: string;
  /** Of a file, which is not on the server. */
  fileName?: string;
}

export function TraceShown({ config, load, loaded, source, search, fileName }: Properties) {
  useSettings();
  const { view } = loaded;
  const [state, change] = useTraceState(search);
  const model = useModel(loaded, state, change);
  useTraceKeys(model, load.found);
  useEffect(() => load.find(state.q), [loaded, state.q]);
  useEffect(() => {
    const name = view.rows.count > 0 ? `${brief(serviceOf(view, 0))}: ${brief(nameOf(view, 0))}` : text.trace(view.traceId);
    document.title = text.titleOf(name);
  }, [view]);
  return (
    <main class="trace-page">
      <TraceHeader config={config} view={view} {...(fileName !== undefined && { fileName })} />
      <VersionBanner view={view} />
      <Notes load={load} loaded={loaded} stored={source.stored} goTo={(row) => model.goTo(row, true)} />
      <Views config={config} load={load} model={model} state={state} change={change} source={source} search={search} />
    </main>
  );
}

interface ViewsProperties {
  config: UiConfig;
  load: TraceLoad;
  model: Model;
  state: TraceState;
  change: ChangeState;
  source: SpanSource;
  search: string;
}

function Views({ config, load, model, state, change, source, search }: ViewsProperties) {
  const theme = useThemeName();
  const palette = useMemo(readPalette, [theme]);
  const fills = useMemo(() => fillsOf(palette, model.view.services, model.colours), [palette, model.colours]);
  const matches = useMemo(() => new Set(load.found?.rows), [load.found]);
  const [nameWidth, setNameWidth] = useState(38);
  const isInline = state.detail === 'inline' && state.view === 'timeline';
  const showAll = () => change({ hide: [] });
  const logsUrl = filled(config.logsUrl, linkValues(model.view, model.selected));
  return (
    <>
      <Toolbar model={model} state={state} change={change} found={load.found} tags={load.marks !== null} nameWidth={nameWidth} setNameWidth={setNameWidth} />
      {state.view === 'timeline' && <Minimap model={model} palette={palette} fills={fills} />}
      <div class={`trace-body ${model.selected >= 0 && !isInline ? 'with-panel' : ''}`}>
        {state.view === 'timeline' && (
          <div class="trace-timeline">
            <Timeline
              model={model}
              palette={palette}
              fills={fills}
              marks={load.marks}
              matches={matches}
              nameWidth={nameWidth}
              inline={isInline ? source : null}
              logsUrl={logsUrl}
              onShowAll={showAll}
            />
            <Resizer nameWidth={nameWidth} setNameWidth={setNameWidth} />
          </div>
        )}
        {state.view === 'flame' && <Flame model={model} palette={palette} fills={fills} />}
        {state.view === 'table' && <OperationTable model={model} stored={source.stored} search={search} />}
        {model.selected >= 0 && !isInline && (
          <aside class="trace-panel" aria-label={text.spanOf(brief(serviceOf(model.view, model.selected)), brief(nameOf(model.view, model.selected)))}>
            <SpanDetails key={model.selected} model={model} source={source} logsUrl={logsUrl} onClose={() => model.select(-1)} />
          </aside>
        )}
      </div>
    </>
  );
}

/** Keys move the edge by so many percent. */
const RESIZE_STEP = 2;

/** The edge between names and bars: dragged, or moved by keys. The toolbar has the same as a number. */
function Resizer({ nameWidth, setNameWidth }: { nameWidth: number; setNameWidth: (percent: number) => void }) {
  const onPointerMove = (event: PointerEvent) => {
    const element = event.currentTarget as HTMLElement;
    const around = element.parentElement?.getBoundingClientRect();
    if (!around || !element.hasPointerCapture(event.pointerId)) return;
    setNameWidth(boundedWidth(((event.clientX - around.left) / around.width) * 100));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowLeft') setNameWidth(boundedWidth(nameWidth - RESIZE_STEP));
    else if (event.key === 'ArrowRight') setNameWidth(boundedWidth(nameWidth + RESIZE_STEP));
    else return;
    event.preventDefault();
  };
  return (
    <div
      class="trace-resizer"
      style={{ left: `${nameWidth}%` }}
      role="separator"
      tabIndex={0}
      aria-orientation="vertical"
      aria-label={text.resizeNames}
      aria-valuemin={NAME_WIDTH_LEAST}
      aria-valuemax={NAME_WIDTH_MOST}
      aria-valuenow={Math.round(nameWidth)}
      onPointerDown={(event) => (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId)}
      onPointerMove={onPointerMove}
      onKeyDown={onKeyDown}
    />
  );
}
