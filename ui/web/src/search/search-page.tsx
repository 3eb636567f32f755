/** The search: what is asked in the address, the form to change it, and what was found. */
import { useEffect, useMemo } from 'preact/hooks';

import { getAutocompleteKeys, getDeployment, getServices, getTraceSummaries, type UiConfig } from '../api';
import { useShortcuts } from '../keyboard';
import { changeParameters, href, navigate } from '../location';
import { useRequest } from '../request';
import { changeSettings, useSettings } from '../settings';
import { Message } from '../shell/message';
import { useSharedAddress } from '../shell/shortcuts';
import { text as shellText } from '../shell/text';
import { shifted } from '../time-range';
import { ofDeployment } from './deployment-query';
import { LastDeployment } from './last-deployment';
import { NoData, NoMatch } from './nothing-found';
import { type Pages, usePages } from './pages';
import { absoluteAddress, addressOf, apiParameters, errorsOf, mayHaveTags, queryOf, rangeOf, type SearchQuery, withRange } from './query';
import { Results } from './results';
import { SearchForm } from './search-form';
import { text } from './text';
import { versionTagOf } from './version-tag';
import { type View, viewOf, withView } from './view';

/** How often a server that has no spans is asked whether it has some now. */
const WAITING_MS = 3000;

interface Properties {
  config: UiConfig;
  /** The address's query. */
  search: string;
}

export function SearchPage({ config, search }: Properties) {
  useEffect(() => {
    document.title = shellText.titleOf(text.title);
  }, []);
  const deployment = new URLSearchParams(search).get('deployment');
  return (
    <main class="page search-page">
      <h1 class="visually-hidden">{text.searchTraces}</h1>
      {!config.searchEnabled ? (
        <Message title={text.off}>
          <p>{text.offWhy}</p>
        </Message>
      ) : deployment ? (
        <OfDeployment id={deployment} config={config} search={search} />
      ) : (
        <Search config={config} search={search} />
      )}
    </main>
  );
}

/** An address that names a deployment becomes that of its service, version and time. */
function OfDeployment({ id, config, search }: Properties & { id: string }) {
  const { order } = useSettings();
  const { answer, error } = useRequest(id, (signal) => getDeployment(id, signal));
  useEffect(() => {
    if (!answer) return;
    const query = { ...queryOf(search, config, [], order), ...ofDeployment(answer, Date.now()) };
    navigate(withView(addressOf(query, config, order), viewOf(search)), 'replace');
  }, [answer]);
  if (!error) return null;
  return (
    <Message title={text.noDeployment} tone="error">
      <p>{error.message}</p>
      <button type="button" onClick={() => changeParameters({ deployment: null })}>
        {text.searchTraces}
      </button>
    </Message>
  );
}

function Search({ config, search }: Properties) {
  const { order } = useSettings();
  const services = useRequest('services', getServices);
  const tagKeys = useRequest('autocompleteKeys', getAutocompleteKeys);
  const keys = tagKeys.answer;
  const query = useMemo(() => queryOf(search, config, keys, order), [search, config, keys, order]);
  const view = viewOf(search);
  const valid = Object.keys(errorsOf(query)).length === 0;
  // Links may have tag keys as parameters of their own: only the server's list tells which they are.
  const ready = valid && !(tagKeys.loading && mayHaveTags(search));
  const versionTag = useVersionTag(ready ? query : null);
  const pages = usePages(ready && versionTag !== null ? JSON.stringify([query, versionTag]) : null, () =>
    Promise.resolve(apiParameters(query, Date.now(), versionTag ?? undefined)),
  );
  const { first } = pages;
  const submit = (next: SearchQuery) => {
    if (next.sort !== query.sort) {
      // The step back has to find the order that was, whatever the user likes by then.
      changeParameters({ sort: query.sort });
      changeSettings({ order: next.sort });
    }
    const address = withView(addressOf(next, config, next.sort === query.sort ? order : undefined), view);
    // The same question again is asked again, however its address was written.
    if (JSON.stringify(next) === JSON.stringify(query)) first.retry();
    else navigate(address);
  };
  const onView = (change: Partial<View>) =>
    navigate(withView(addressOf(query, config, order), { ...view, ...change }), 'replace');
  const nothingEver = services.answer?.length === 0 && first.answer?.traces.length === 0;
  useEffect(() => {
    if (!nothingEver) return;
    const timer = setInterval(() => {
      services.retry();
      first.retry();
    }, WAITING_MS);
    return () => clearInterval(timer);
  }, [nothingEver]);
  useSharedAddress(() => {
    const address = withView(absoluteAddress(query, first.answer?.askedAt ?? Date.now()), view);
    return new URL(href(address), location.href).href;
  });
  const move = (direction: -1 | 1) => submit(withRange(query, shifted(rangeOf(query, Date.now()), direction, Date.now())));
  useShortcuts(text.time, [
    { keys: ['['], text: text.earlier, run: () => move(-1) },
    { keys: [']'], text: text.later, run: () => move(1) },
  ]);
  return (
    <>
      <LastDeployment />
      <SearchForm
        query={query}
        services={services.answer ?? []}
        tagKeys={keys ?? []}
        busy={first.loading}
        onSearch={submit}
      />
      {!valid && <p class="note">{text.notSearched}</p>}
      {first.error && (
        <Message title={first.error.status === 0 ? text.failed : text.failedWith(first.error.status)} tone="error">
          <p>{first.error.message}</p>
          <button type="button" onClick={first.retry}>
            {shellText.tryAgain}
          </button>
        </Message>
      )}
      <Waiting pages={pages} />
      {/* There from the beginning: what comes with its words already in it is not read out. */}
      <p class="visually-hidden" role="status">
        {first.answer && !first.loading && text.heard(pages.traces.length)}
      </p>
      <Found
        pages={pages}
        query={query}
        versionTag={versionTag ?? ''}
        view={view}
        nothingEver={nothingEver}
        onView={onView}
        onSearch={submit}
      />
    </>
  );
}

/** The tag that the version of a query is searched by; `null` until it is known. */
function useVersionTag(query: SearchQuery | null): string | null {
  const { version = '', serviceName, lookback, millis, startTs, endTs } = query ?? {};
  const key = version === '' ? null : JSON.stringify([version, serviceName, lookback, millis, startTs, endTs]);
  const asked = useRequest(key, async (signal) => ({
    key,
    tag: query ? await versionTagOf(query, Date.now(), (parameters) => getTraceSummaries(parameters, signal)) : '',
  }));
  if (key === null) return '';
  // A search by the usual tag fails as this did, and says why.
  if (asked.error) return 'version';
  return asked.answer?.key === key ? asked.answer.tag : null;
}

/** Sooner than it would be felt, nothing; then rows to come, or a word above those that are there, and a way out. */
function Waiting({ pages: { first } }: { pages: Pages }) {
  const { answer, slow, cancelled, cancel, retry } = first;
  if (cancelled) {
    return (
      <p class="note search-waiting" role="status">
        {text.cancelled}{' '}
        <button type="button" onClick={retry}>
          {shellText.tryAgain}
        </button>
      </p>
    );
  }
  if (!slow) return null;
  return (
    <>
      <p class="search-waiting" role="status">
        {text.searching}{' '}
        <button type="button" onClick={cancel}>
          {shellText.cancel}
        </button>
      </p>
      {!answer && (
        <div class="skeleton" aria-hidden="true">
          {Array.from({ length: 5 }, (_, index) => (
            <div class="skeleton-row" key={index} />
          ))}
        </div>
      )}
    </>
  );
}

interface FoundProperties {
  pages: Pages;
  query: SearchQuery;
  versionTag: string;
  view: View;
  nothingEver: boolean;
  onView: (change: Partial<View>) => void;
  onSearch: (query: SearchQuery) => void;
}

function Found({ pages, query, versionTag, view, nothingEver, onView, onSearch }: FoundProperties) {
  const { answer, error, slow } = pages.first;
  if (!answer) return null;
  if (nothingEver) return <NoData />;
  if (answer.traces.length === 0) {
    return error || slow ? null : (
      <NoMatch query={query} versionTag={versionTag} missing={answer.missing} onSearch={onSearch} />
    );
  }
  return (
    <Results
      query={query}
      pages={pages}
      answer={answer}
      view={view}
      stale={slow || error !== undefined}
      onView={onView}
      onSearch={onSearch}
    />
  );
}
