/** The search: what is asked in the address, the form to change it, and what was found. */
import { useEffect, useMemo } from 'preact/hooks';

import { type Found, getAutocompleteKeys, getServices, getTraceSummaries, type UiConfig } from '../api';
import { navigate } from '../location';
import { type Requested, useRequest } from '../request';
import { Message } from '../shell/message';
import { addressOf, apiParameters, errorsOf, queryOf, type SearchQuery } from './query';
import { NoData, NoMatch } from './nothing-found';
import { ResultList, Skeleton } from './result-list';
import { SearchForm } from './search-form';

/** How often a server that has no spans is asked whether it has some now. */
const WAITING_MS = 3000;

interface Properties {
  config: UiConfig;
  /** The address's query. */
  search: string;
}

export function SearchPage({ config, search }: Properties) {
  useEffect(() => {
    document.title = 'Traces · Tracehound';
  }, []);
  if (config.searchEnabled) return <Search config={config} search={search} />;
  return (
    <main class="page">
      <Message title="Search is switched off on this server">
        <p>
          It runs with <code>SEARCH_ENABLED=false</code>. A trace whose ID you know can still be opened: enter the ID
          in the box above.
        </p>
      </Message>
    </main>
  );
}

function Search({ config, search }: Properties) {
  const services = useRequest('services', getServices);
  const tagKeys = useRequest('autocompleteKeys', getAutocompleteKeys);
  const keys = tagKeys.answer;
  const query = useMemo(() => queryOf(search, config, keys), [search, config, keys]);
  const valid = Object.keys(errorsOf(query)).length === 0;
  // Links may have tag keys as parameters of their own: only the server's list tells which they are.
  const ready = valid && !tagKeys.loading;
  const found = useRequest(ready ? JSON.stringify(query) : null, (signal) =>
    getTraceSummaries(apiParameters(query, Date.now()), signal),
  );
  const submit = (next: SearchQuery) => {
    const address = addressOf(next, config);
    if (address === search) found.retry();
    else navigate(address);
  };
  const nothingEver = services.answer?.length === 0 && found.answer?.traces.length === 0;
  useEffect(() => {
    if (!nothingEver) return;
    const timer = setInterval(() => {
      services.retry();
      found.retry();
    }, WAITING_MS);
    return () => clearInterval(timer);
  }, [nothingEver]);
  return (
    <main class="page search-page">
      <h1 class="visually-hidden">Search traces</h1>
      <SearchForm
        query={query}
        services={services.answer ?? []}
        tagKeys={keys ?? []}
        busy={found.loading}
        onSearch={submit}
      />
      {found.error && (
        <Message title={found.error.status === 0 ? 'The search failed' : `The search failed (${found.error.status})`} tone="error">
          <p>{found.error.message}</p>
          <button type="button" onClick={found.retry}>
            Try again
          </button>
        </Message>
      )}
      <Results found={found} query={query} nothingEver={nothingEver} onSearch={submit} />
    </main>
  );
}

interface ResultsProperties {
  found: Requested<Found>;
  query: SearchQuery;
  nothingEver: boolean;
  onSearch: (query: SearchQuery) => void;
}

function Results({ found, query, nothingEver, onSearch }: ResultsProperties) {
  const { answer, error, slow } = found;
  if (!answer) return slow ? <Skeleton /> : null;
  if (nothingEver) return <NoData />;
  if (answer.traces.length === 0) return error || slow ? null : <NoMatch query={query} missing={answer.missing} onSearch={onSearch} />;
  return <ResultList found={answer} query={query} stale={slow || error !== undefined} />;
}
