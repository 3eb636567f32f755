/** What is looked at of a trace: the view, text to find, services to hide, how much is folded. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { colourClass } from '../service-colour';
import { at } from './groups';
import { collapseAll, goToSlowest } from './keys';
import type { Found } from './load';
import { activeRow, type Model, nextOf, nothingFolded } from './model';
import { brief, nameOf, serviceOf } from './names';
import { type ChangeState, type TraceState, VIEWS } from './state';
import { text } from './text';

interface Properties {
  model: Model;
  state: TraceState;
  change: ChangeState;
  found: Found | null;
  /** Tags are looked at, too. */
  tags: boolean;
  nameWidth: number;
  setNameWidth: (percent: number) => void;
}

export function Toolbar({ model, state, change, found, tags, nameWidth, setNameWidth }: Properties) {
  const isTimeline = state.view === 'timeline';
  return (
    <div class="trace-toolbar">
      <div class="trace-segments" role="group" aria-label={text.views}>
        {VIEWS.map((view) => (
          <button key={view} type="button" aria-pressed={state.view === view} onClick={() => change({ view })}>
            {text.viewNames[view]}
          </button>
        ))}
      </div>
      <Find model={model} state={state} change={change} found={found} tags={tags} />
      <Services model={model} state={state} change={change} />
      {isTimeline && (
        <>
          <button type="button" title={text.slowestWhy} onClick={() => goToSlowest(model)}>
            {text.slowest}
          </button>
          <button type="button" onClick={() => model.setFolding(nothingFolded(model.view, model.groups))}>
            {text.expandAll}
          </button>
          <button type="button" onClick={() => collapseAll(model)}>
            {text.collapseAll}
          </button>
          <label class="trace-choice">
            {text.detailsAt}{' '}
            <select
              value={state.detail}
              onChange={(event) => change({ detail: (event.currentTarget as HTMLSelectElement).value === 'inline' ? 'inline' : 'side' })}
            >
              <option value="side">{text.detailPlaces.side}</option>
              <option value="inline">{text.detailPlaces.inline}</option>
            </select>
          </label>
          <label class="trace-choice" title={text.nameWidth}>
            <span aria-hidden="true">↔</span>
            <input
              type="number"
              aria-label={text.nameWidth}
              min={NAME_WIDTH_LEAST}
              max={NAME_WIDTH_MOST}
              step={5}
              value={Math.round(nameWidth)}
              onChange={(event) => setNameWidth(boundedWidth(Number((event.currentTarget as HTMLInputElement).value)))}
            />
          </label>
        </>
      )}
      {model.root >= 0 && <Root model={model} />}
    </div>
  );
}

export const NAME_WIDTH_LEAST = 15;
export const NAME_WIDTH_MOST = 75;

/** Percent that leave room for both names and bars. */
export function boundedWidth(percent: number): number {
  return Number.isFinite(percent) ? Math.max(NAME_WIDTH_LEAST, Math.min(NAME_WIDTH_MOST, percent)) : 38;
}

function Root({ model }: { model: Model }) {
  const name = `${serviceOf(model.view, model.root)} ${nameOf(model.view, model.root)}`;
  return (
    <span class="trace-root">
      <span class="trace-root-name">{text.lookedAt(brief(name))}</span>
      <button type="button" onClick={() => model.setRoot(-1)}>
        {text.wholeTrace}
      </button>
    </span>
  );
}

/** Sooner after a key than this the text is not complete. */
const TYPING_MS = 120;

function Find({ model, state, change, found, tags }: Omit<Properties, 'nameWidth' | 'setNameWidth'>) {
  const [written, setWritten] = useState(state.q);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => setWritten(state.q), [state.q]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const write = (words: string) => {
    setWritten(words);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => change({ q: words }), TYPING_MS);
  };
  const go = (step: -1 | 1) => {
    const row = found ? nextOf(model, found.rows, step) : -1;
    if (row >= 0) model.goTo(row);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter') go(event.shiftKey ? -1 : 1);
    else if (event.key === 'Escape') write('');
    else return;
    event.preventDefault();
  };
  const current = found ? found.rows.indexOf(activeRow(model)) + 1 : 0;
  const none = !found || found.rows.length === 0;
  return (
    <div class="trace-find" role="search" aria-label={text.find}>
      <input
        value={written}
        aria-label={text.find}
        placeholder={tags ? text.findPlaceholder : text.findPlaceholderNames}
        maxLength={200}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => write((event.currentTarget as HTMLInputElement).value)}
        onKeyDown={onKeyDown}
      />
      <span class="numbers muted" role="status">
        {state.q !== '' && found?.text === state.q ? text.matches(current, found.rows.length) : ''}
      </span>
      <button type="button" aria-label={text.previousMatch} title={text.previousMatch} disabled={none} onClick={() => go(-1)}>
        ↑
      </button>
      <button type="button" aria-label={text.nextMatch} title={text.nextMatch} disabled={none} onClick={() => go(1)}>
        ↓
      </button>
    </div>
  );
}

/** More are not listed: a trace of so many services is hidden by name in the address. */
const SERVICES_MAX = 100;

function Services({ model, state, change }: { model: Model; state: TraceState; change: ChangeState }) {
  const { view } = model;
  const [open, setOpen] = useState(false);
  const set = (service: string, shown: boolean) => change({ hide: shown ? state.hide.filter((name) => name !== service) : [...state.hide, service] });
  return (
    <details class="trace-services" open={open} onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary class="button">{text.servicesShown(state.hide.length)}</summary>
      {open && (
        <fieldset>
          <legend>{text.servicesLegend}</legend>
          {spansByService(model)
            .slice(0, SERVICES_MAX)
            .map(({ service, spans }) => {
              const name = view.services[service] ?? '';
              return (
                <label key={service}>
                  <input
                    type="checkbox"
                    checked={!state.hide.includes(name)}
                    onChange={(event) => set(name, (event.currentTarget as HTMLInputElement).checked)}
                  />
                  <span class={`swatch ${colourClass(model.colours.get(name))}`} />
                  <bdi>{brief(name)}</bdi> <span class="badge-count">{spans.toLocaleString('en')}</span>
                </label>
              );
            })}
          <button type="button" disabled={state.hide.length === 0} onClick={() => change({ hide: [] })}>
            {text.showAll}
          </button>
        </fieldset>
      )}
    </details>
  );
}

/** Services with how many rows each has, most first. */
function spansByService({ view }: Model): { service: number; spans: number }[] {
  const counts = new Int32Array(view.services.length);
  for (let row = 0; row < view.rows.count; row++) {
    const service = at(view.rows.service, row);
    if (service >= 0) counts[service]! += 1;
  }
  const all = Array.from(counts, (spans, service) => ({ service, spans }));
  return all.filter(({ spans }) => spans > 0).sort((a, b) => b.spans - a.spans);
}
