/** One trace of the server: loaded, not there, or not yet. */
import { useEffect, useState } from 'preact/hooks';

import { type ApiError, getRowSpans, traceUrl, traceViewUrl, type UiConfig } from '../api';
import { isTraceId } from '../location';
import { Link } from '../shell/link';
import { Message } from '../shell/message';
import { useTraceLoad } from './load';
import { brief } from './names';
import { text } from './text';
import { TraceShown } from './trace-view';

interface Properties {
  config: UiConfig;
  traceId: string;
  /** The address's query. */
  search: string;
}

export function TracePage({ config, traceId, search }: Properties) {
  const valid = isTraceId(traceId);
  const [attempt, setAttempt] = useState(0);
  const load = useTraceLoad(valid ? `${traceId} ${attempt}` : null, () => ({
    url: traceViewUrl(traceId),
    spansUrl: traceUrl(traceId),
  }));
  useEffect(() => {
    document.title = text.titleOf(text.trace(traceId));
  }, [traceId]);
  const retry = () => setAttempt((before) => before + 1);
  const source = { key: traceId, stored: true, ask: (spanId: string, signal: AbortSignal) => getRowSpans(traceId, spanId, signal) };
  if (load.loaded) return <TraceShown config={config} load={load} loaded={load.loaded} source={source} search={search} />;
  return (
    <main class="page">
      <h1 class="trace-heading">{text.trace(brief(traceId))}</h1>
      {!valid && (
        <Message title={text.notATraceId} tone="error">
          <p>{text.notATraceIdWhy(brief(traceId))}</p>
        </Message>
      )}
      {load.error?.status === 404 || (attempt > 0 && !load.error) ? (
        <NotFound traceId={traceId} attempt={attempt} waiting={!load.error} retry={retry} />
      ) : (
        load.error && <NotLoaded error={load.error} retry={retry} />
      )}
      {load.slow && attempt === 0 && (
        <p class="muted" role="status">
          {text.loading(traceId)}
        </p>
      )}
    </main>
  );
}

function NotLoaded({ error, retry }: { error: ApiError; retry: () => void }) {
  return (
    <Message title={text.notLoaded} tone="error">
      <p>{error.message}</p>
      <button type="button" onClick={retry}>
        {text.tryAgain}
      </button>
    </Message>
  );
}

/** A trace that is not there may only be late: it is looked for again so often, each time after a longer wait. */
const RETRIES = 3;
const FIRST_WAIT_MS = 2000;

interface NotFoundProperties {
  traceId: string;
  attempt: number;
  /** The answer to this attempt is awaited. */
  waiting: boolean;
  retry: () => void;
}

function NotFound({ traceId, attempt, waiting, retry }: NotFoundProperties) {
  useEffect(() => {
    if (waiting || attempt >= RETRIES) return;
    const timer = setTimeout(retry, FIRST_WAIT_MS * 2 ** attempt);
    return () => clearTimeout(timer);
  }, [attempt, waiting]);
  return (
    <Message title={text.notFound}>
      <p>{text.notFoundWhy(traceId)}</p>
      <ul>
        {text.notFoundReasons.map((reason) => (
          <li key={reason}>{reason}</li>
        ))}
      </ul>
      <p class="muted" role="status">
        {attempt < RETRIES ? text.lookingAgain(attempt + 1, RETRIES) : !waiting && text.lookedAgain(RETRIES)}
      </p>
      <p class="ways-out">
        <button type="button" onClick={retry}>
          {text.lookAgain}
        </button>
        <Link path="">{text.searchTraces}</Link>
      </p>
    </Message>
  );
}
