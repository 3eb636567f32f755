/** One trace: what it is, its spans as nested rows on a common time, and the panel of the one that is selected. */
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';

import { getTrace, traceUrl, type UiConfig } from '../api';
import { formatCount, formatDuration, formatInstant } from '../format';
import { isTraceId, navigate } from '../location';
import { useRequest } from '../request';
import { serviceColours } from '../service-colour';
import { Link } from '../shell/link';
import { Message } from '../shell/message';
import { SpanPanel } from './span-panel';
import { Timeline } from './timeline';
import { buildTrace, type Trace } from './tree';

interface Properties {
  config: UiConfig;
  traceId: string;
  /** The address's query: `span` is the selected one. */
  search: string;
}

export function TracePage({ config, traceId, search }: Properties) {
  const valid = isTraceId(traceId);
  const requested = useRequest(valid ? traceId : null, (signal) => getTrace(traceId, signal));
  const { answer, error, slow, retry } = requested;
  const trace = useMemo(() => (answer && answer.length > 0 ? buildTrace(traceId, answer) : null), [answer]);
  useEffect(() => {
    const root = trace?.rows[0];
    document.title = `${root ? `${root.serviceName}: ${root.name}` : `Trace ${traceId}`} · Tracehound`;
  }, [trace]);
  if (trace) return <Loaded config={config} trace={trace} search={search} />;
  return (
    <main class="page">
      {!valid && (
        <Message title="This is no trace ID" tone="error">
          <p>
            <code>{traceId}</code> should be 1 to 32 hexadecimal digits.
          </p>
        </Message>
      )}
      {error?.status === 404 && <NotFound traceId={traceId} retry={retry} />}
      {error && error.status !== 404 && (
        <Message title="The trace could not be loaded" tone="error">
          <p>{error.message}</p>
          <button type="button" onClick={retry}>
            Try again
          </button>
        </Message>
      )}
      {slow && (
        <p class="muted" role="status">
          Loading trace {traceId}…
        </p>
      )}
    </main>
  );
}

function NotFound({ traceId, retry }: { traceId: string; retry: () => void }) {
  return (
    <Message title="There is no such trace">
      <p>
        The server has no span of <code>{traceId}</code>. It may still be on its way, or it is older than what the
        server keeps, or it was not sampled.
      </p>
      <p class="ways-out">
        <button type="button" onClick={retry}>
          Look again
        </button>
        <Link path="">Search traces</Link>
      </p>
    </Message>
  );
}

function Loaded({ config, trace, search }: { config: UiConfig; trace: Trace; search: string }) {
  const selectedId = new URLSearchParams(search).get('span');
  const selected = useMemo(() => trace.rows.find((row) => row.id === selectedId), [trace, selectedId]);
  const colours = useMemo(() => serviceColours(trace.services.map((service) => service.name)), [trace]);
  const select = (id: string | null) => {
    const query = id === null ? '' : `?${new URLSearchParams({ span: id })}`;
    navigate(`traces/${trace.traceId}${query}`, 'replace');
  };
  return (
    <main class="trace-page">
      <TraceHeader config={config} trace={trace} />
      <div class={`trace-body ${selected ? 'with-panel' : ''}`}>
        <Timeline trace={trace} colours={colours} selectedId={selected?.id ?? null} onSelect={select} />
        {selected && <SpanPanel key={selected.id} trace={trace} row={selected} onClose={() => select(null)} />}
      </div>
    </main>
  );
}

function TraceHeader({ config, trace }: { config: UiConfig; trace: Trace }) {
  const root = trace.rows[0];
  const { traceId, failedCount, orphanedCount } = trace;
  return (
    <header class="trace-header">
      <h1>
        {root?.serviceName} <span class="trace-name">{root?.name}</span>
      </h1>
      <div class="trace-actions">
        <a class="button" href={traceUrl(traceId)} download={`${traceId}.json`}>
          Download JSON
        </a>
        {config.logsUrl && (
          <a class="button" href={config.logsUrl.replaceAll('{traceId}', traceId)} target="_blank" rel="noreferrer">
            Logs
          </a>
        )}
      </div>
      <dl class="facts">
        <Fact term="Duration">{trace.start === undefined ? '–' : formatDuration(trace.duration)}</Fact>
        <Fact term="Start">{trace.start === undefined ? '–' : formatInstant(trace.start)}</Fact>
        <Fact term="Spans">{trace.spanCount.toLocaleString('en')}</Fact>
        <Fact term="Services">{trace.services.length.toLocaleString('en')}</Fact>
        <Fact term="Depth">{trace.depth.toLocaleString('en')}</Fact>
        <Fact term="Trace ID">
          <code>{traceId}</code>
        </Fact>
        {failedCount > 0 && <span class="error-note">✖ {formatCount(failedCount, 'failed call')}</span>}
      </dl>
      {orphanedCount > 0 && (
        <p class="note">
          {formatCount(orphanedCount, 'span')} without {orphanedCount === 1 ? 'its' : 'their'} parent: some of this
          trace was not received, or not yet.
        </p>
      )}
      {trace.start === undefined && <p class="note">No span of this trace has a time, so there are no bars.</p>}
    </header>
  );
}

function Fact({ term, children }: { term: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}
