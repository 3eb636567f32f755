/** What was found: how much of it that is, the chart, what narrows it, the rows, and the next page. */
import { useMemo, useRef } from 'preact/hooks';

import { getDeployments, type TraceSummary } from '../api';
import { formatClock, formatDuration } from '../format';
import { useShortcuts } from '../keyboard';
import { navigate, pathOf } from '../location';
import { useRequest } from '../request';
import { Link } from '../shell/link';
import { copyLink } from '../shell/shortcuts';
import { apiWindow } from '../time-range';
import { FacetPanel } from './facet-panel';
import { facetsOf, isNarrowed, isShown } from './facets';
import type { FirstPage, Pages } from './pages';
import { LIMIT_MAX, type SearchQuery, windowOf } from './query';
import { ResultRows } from './result-rows';
import { Scatter } from './scatter';
import { narrowed } from './scatter-data';
import { OrderField } from './search-form';
import { text } from './text';
import { comparePath, toggled, type View } from './view';

/** More bands in a chart hide it. */
const BANDS_MAX = '30';

/** So many deployments are named below the chart; the others are bands in it, and on their own page. */
const NAMED_MAX = 6;

interface Properties {
  query: SearchQuery;
  pages: Pages;
  answer: FirstPage;
  view: View;
  /** Not the answer to what is asked now. */
  stale: boolean;
  onView: (change: Partial<View>) => void;
  onSearch: (query: SearchQuery) => void;
}

export function Results({ query, pages, answer, view, stale, onView, onSearch }: Properties) {
  const { traces } = pages;
  const shown = useMemo(() => traces.filter((trace) => isShown(trace, view)), [pages.first.answer, traces.length, JSON.stringify(view)]);
  const facets = useMemo(() => facetsOf(traces), [pages.first.answer, traces.length]);
  const select = (traceId: string) => onView({ selected: toggled(view.selected, traceId) });
  const box = useRef<HTMLElement>(null);
  useRowKeys(box, view.selected, select);
  return (
    <section ref={box} class={`results ${stale ? 'stale' : ''}`} aria-busy={stale}>
      <h2 class="visually-hidden">{text.results}</h2>
      <div class="results-head">
        <p>{countSentence(query, pages, answer)}</p>
        <OrderField query={query} onSearch={onSearch} />
        <ViewField view={view} onView={onView} />
        <button type="button" onClick={() => void copyLink()}>
          {text.copyLink}
        </button>
      </div>
      {answer.missing !== null && <p class="note">{text.partial(answer.missing)}</p>}
      <Chart query={query} answer={answer} traces={shown} onSearch={onSearch} />
      <Selection selected={view.selected} traces={traces} onClear={() => onView({ selected: [] })} />
      <div class="results-body">
        <FacetPanel facets={facets} view={view} onView={onView} />
        <div class="results-rows">
          {isNarrowed(view) && <p class="muted">{text.shown(shown.length, traces.length)}</p>}
          {shown.length === 0 ? (
            <div class="message">
              <h2>{text.noneLeft}</h2>
              <p>{text.noneLeftWhy(traces.length)}</p>
              <button type="button" onClick={() => onView({ services: [], versions: [], failed: null })}>
                {text.clearFacets}
              </button>
            </div>
          ) : (
            <ResultRows as={view.as} traces={shown} selected={view.selected} onSelect={select} />
          )}
          <More query={query} pages={pages} answer={answer} onSearch={onSearch} />
        </div>
      </div>
    </section>
  );
}

/** What the limit left out is said, always: the newest ten are not the slowest ten. */
function countSentence(query: SearchQuery, pages: Pages, answer: FirstPage): string {
  const count = pages.traces.length;
  const now = new Date();
  const { startTs, endTs } = windowOf(query, answer.askedAt);
  const window = text.window(formatClock(startTs, now), formatClock(endTs, now));
  const all = !pages.more && (answer.next !== null || answer.traces.length < query.limit);
  return all ? text.all(count, window) : text.first[query.sort](count, window);
}

function Chart({ query, answer, traces, onSearch }: Pick<Properties, 'query' | 'answer' | 'onSearch'> & { traces: TraceSummary[] }) {
  const window = windowOf(query, answer.askedAt);
  const deployments = useRequest(`${window.startTs} ${window.endTs}`, (signal) =>
    getDeployments({ ...apiWindow({ lookback: window.endTs - window.startTs, endTs: window.endTs }, window.endTs), limit: BANDS_MAX }, signal),
  );
  const known = useMemo(() => deployments.answer?.body ?? [], [deployments.answer]);
  return (
    <div class="search-chart">
      <Scatter traces={traces} deployments={known} window={window} onStretch={(stretch) => onSearch(narrowed(query, stretch))} />
      {deployments.error && <p class="note">{text.deploymentsFailed}</p>}
      {known.length > 0 && (
        <p class="deployments-in">
          <span class="muted">{text.deploymentsShown}</span>
          {known.slice(0, NAMED_MAX).map(({ id, serviceName, version, startTs }) => (
            <Link key={id} path={pathOf('deployments', id)}>
              <bdi>
                {serviceName} {version}
              </bdi>{' '}
              <span class="muted numbers">{formatClock(startTs, new Date())}</span>
            </Link>
          ))}
          {known.length > NAMED_MAX && <Link path="deployments">{text.others(known.length - NAMED_MAX)}</Link>}
        </p>
      )}
    </div>
  );
}

function ViewField({ view, onView }: Pick<Properties, 'view' | 'onView'>) {
  return (
    <fieldset class="search-order">
      <legend>{text.view}</legend>
      <span class="segments">
        {(['list', 'table'] as const).map((as) => (
          <label key={as}>
            <input type="radio" name="view" checked={view.as === as} onChange={() => onView({ as })} />
            <span>{text.views[as]}</span>
          </label>
        ))}
      </span>
    </fieldset>
  );
}

/** The two that are to be compared; they may be of searches before this one. */
function Selection({ selected, traces, onClear }: { selected: string[]; traces: TraceSummary[]; onClear: () => void }) {
  if (selected.length === 0) return null;
  return (
    <div class="selection" role="status">
      <span>{selected.length === 2 ? text.selectedTwo : text.selectOne}</span>
      {selected.map((traceId, index) => {
        const trace = traces.find((one) => one.traceId === traceId);
        return (
          <span key={traceId} class="badge">
            <strong>{'AB'[index]}</strong> <code>{traceId.slice(-8)}</code> {trace && formatDuration(trace.duration)}
          </span>
        );
      })}
      {selected.length === 2 && (
        <button type="button" onClick={() => navigate(comparePath(selected))}>
          {text.compare}
        </button>
      )}
      <button type="button" class="quiet" onClick={onClear}>
        {text.clearSelection}
      </button>
    </div>
  );
}

/** The next page; a server without pages is asked for twice as many. */
function More({ query, pages, answer, onSearch }: Pick<Properties, 'query' | 'pages' | 'answer' | 'onSearch'>) {
  const { more, loadMore, loadingMore, moreError } = pages;
  const limit = Math.min(LIMIT_MAX, query.limit * 2);
  const cut = answer.next === null && answer.traces.length >= query.limit && limit > query.limit;
  return (
    <div class="more">
      {moreError && (
        <p class="field-error" role="alert">
          {text.moreFailed(moreError.message)}
        </p>
      )}
      {more && (
        <button type="button" aria-busy={loadingMore} onClick={loadMore}>
          {text.loadMore(query.limit)}
        </button>
      )}
      {cut && (
        <button type="button" onClick={() => onSearch({ ...query, limit })}>
          {text.raiseLimit(limit)}
        </button>
      )}
    </div>
  );
}

/** Rows are walked with the focus itself: Enter is the link's own. */
function useRowKeys(box: { current: HTMLElement | null }, selected: string[], select: (traceId: string) => void): void {
  const links = () => [...(box.current?.querySelectorAll<HTMLElement>('[data-trace] a') ?? [])];
  const row = () => document.activeElement?.closest<HTMLElement>('[data-trace]');
  const walk = (step: number) => {
    const all = links();
    const at = all.findIndex((link) => link.closest('[data-trace]') === row());
    all[at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + step))]?.focus();
  };
  useShortcuts(text.results, [
    { keys: ['j'], text: text.nextTrace, run: () => walk(1) },
    { keys: ['k'], text: text.previousTrace, run: () => walk(-1) },
    {
      keys: ['x'],
      text: text.selectRow,
      run: () => {
        const traceId = row()?.dataset['trace'];
        if (traceId) select(traceId);
      },
    },
    { keys: ['='], text: text.compareSelected, run: () => selected.length === 2 && navigate(comparePath(selected)) },
  ]);
}
