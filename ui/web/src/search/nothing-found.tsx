/** An empty list has reasons, and each another way out: no span ever came, or the conditions are too narrow. */
import { formatTime } from '../format';
import { Message } from '../shell/message';
import { hasConditions, type SearchQuery, TEXT_FIELDS, widened, windowOf } from './query';

const LABELS: Record<(typeof TEXT_FIELDS)[number], string> = {
  serviceName: 'service',
  spanName: 'span name',
  remoteServiceName: 'remote service',
  annotationQuery: 'tags',
  q: 'text',
  minDuration: 'minimum duration',
  maxDuration: 'maximum duration',
};

/** Says how a span is sent, by a command that can be pasted. */
export function NoData() {
  // The collector is beside the UI's base, whatever a proxy put before both.
  const collector = new URL('../api/v2/spans', document.baseURI).href;
  const command = `curl -X POST ${collector} -H 'content-type: application/json' -d '[{
  "traceId": "463ac35c9f6413ad", "id": "463ac35c9f6413ad", "kind": "SERVER",
  "name": "get /hello", "timestamp": '$(date +%s)'000000, "duration": 25000,
  "localEndpoint": {"serviceName": "my-service"}
}]'`;
  return (
    <Message title="No spans yet">
      <p>
        This server has not received any span. Point a Zipkin reporter at <code>{collector}</code>, or send
        one by hand:
      </p>
      <pre tabIndex={0}>
        <code>{command}</code>
      </pre>
      <p class="muted" role="status">
        <span class="pulse" aria-hidden="true" /> Waiting for spans; they appear here by themselves.
      </p>
    </Message>
  );
}

interface NoMatchProperties {
  query: SearchQuery;
  /** Why something that matches may not have been found. */
  missing: string | null;
  onSearch: (query: SearchQuery) => void;
}

/** Says what was asked, and offers to drop each condition. */
export function NoMatch({ query, missing, onSearch }: NoMatchProperties) {
  const { startTs, endTs } = windowOf(query, Date.now());
  const now = new Date();
  const conditions = TEXT_FIELDS.filter((field) => query[field] !== '');
  return (
    <Message title="No trace matches">
      <p>
        Nothing {hasConditions(query) ? 'matches these conditions' : 'was recorded'} between{' '}
        {formatTime(startTs * 1000, now)} and {query.endTs === null ? 'now' : formatTime(endTs * 1000, now)}.
      </p>
      {missing !== null && <p class="note">Not everything was searched: {missing}</p>}
      <p class="ways-out">
        {query.lookback !== '7d' && (
          <button type="button" onClick={() => onSearch(widened(query))}>
            Search the last 7 days
          </button>
        )}
        {conditions.map((field) => (
          <button type="button" key={field} onClick={() => onSearch({ ...query, [field]: '' })}>
            Without {LABELS[field]} <q>{query[field]}</q>
          </button>
        ))}
      </p>
    </Message>
  );
}
