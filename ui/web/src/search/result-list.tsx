/** The traces that were found, one block each: a link to the trace. */
import type { Found, ServiceSummary, TraceSummary } from '../api';
import { formatAgo, formatCount, formatDuration, formatTime } from '../format';
import { Link } from '../shell/link';
import type { SearchQuery, Sort } from './query';

const ORDERS: Record<Sort, string> = {
  newest: 'newest first',
  slowest: 'slowest first',
  errors: 'most errors first',
};

interface Properties {
  found: Found;
  query: SearchQuery;
  /** Not the answer to what is asked now. */
  stale: boolean;
}

export function ResultList({ found, query, stale }: Properties) {
  const { traces, missing } = found;
  const longest = traces.reduce((longest, trace) => Math.max(longest, trace.duration ?? 0), 1);
  const now = new Date();
  const more = traces.length >= query.limit;
  return (
    <section class={`results ${stale ? 'stale' : ''}`} aria-busy={stale}>
      <p class="results-head" role="status">
        <strong>{formatCount(traces.length, 'trace')}</strong>, {ORDERS[query.sort]}
        {more && <span class="muted"> · the limit: there may be more</span>}
      </p>
      {missing !== null && <p class="note">Not everything was searched: {missing}</p>}
      <ol>
        {traces.map((trace) => (
          <Result key={trace.traceId} trace={trace} longest={longest} now={now} />
        ))}
      </ol>
    </section>
  );
}

interface ResultProperties {
  trace: TraceSummary;
  /** The longest duration of the list, in microseconds. */
  longest: number;
  now: Date;
}

function Result({ trace, longest, now }: ResultProperties) {
  const { traceId, root, timestamp, duration, errorCount, matchedSpans = [] } = trace;
  const failed = errorCount > 0;
  return (
    <li>
      <Link path={`traces/${traceId}`} class="result">
        <span class="result-root">
          <span class="result-service">{root?.serviceName ?? trace.services[0]?.serviceName ?? 'unknown service'}</span>{' '}
          <span class="result-name">{root ? (root.spanName ?? 'unnamed span') : 'root span not received'}</span>
        </span>
        <span class="result-start">
          {timestamp === undefined ? (
            <span class="muted">no time</span>
          ) : (
            <>
              <span class="numbers">{formatTime(timestamp, now)}</span>{' '}
              <span class="muted">{formatAgo(timestamp, now)}</span>
            </>
          )}
        </span>
        <span class="result-counts">
          <span class="numbers">{formatCount(trace.spanCount, 'span')}</span>
          {matchedSpans.length > 0 && <span class="muted"> {formatCount(matchedSpans.length, 'matching span')}</span>}
          {failed && <span class="error-note">✖ {formatCount(errorCount, 'error')}</span>}
        </span>
        <span class="result-duration">
          <span class="numbers">{formatDuration(duration)}</span>
          <span class="result-track" aria-hidden="true">
            {duration !== undefined && (
              <span class="result-bar" style={{ width: `${(duration / longest) * 100}%` }} />
            )}
          </span>
        </span>
        <Services services={trace.services} />
      </Link>
    </li>
  );
}

function Services({ services }: { services: ServiceSummary[] }) {
  return (
    <span class="result-services">
      {services.map(({ serviceName, spanCount, versions }) => (
        <span class="badge" key={serviceName}>
          {serviceName}
          <span class="badge-count">×{spanCount.toLocaleString('en')}</span>
          {versions.length > 0 && <span class="badge-version">{versions.join(', ')}</span>}
        </span>
      ))}
    </span>
  );
}

/** Stands where the list will be. */
export function Skeleton() {
  return (
    <div class="skeleton" role="status">
      <span class="visually-hidden">Searching…</span>
      {Array.from({ length: 5 }, (_, index) => (
        <div class="skeleton-row" key={index} />
      ))}
    </div>
  );
}
