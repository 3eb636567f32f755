/** Everything that was reported of one row. */
import type { Span } from '../api';
import { formatDuration, formatInstant } from '../format';
import { eventsOf, formatEndpoint, tagsOf } from './detail';
import type { Row, Trace } from './tree';

interface Properties {
  trace: Trace;
  row: Row;
  onClose: () => void;
}

export function SpanPanel({ trace, row, onClose }: Properties) {
  return (
    <aside class="span-panel" aria-label={`Span ${row.serviceName} ${row.name}`}>
      <header>
        <h2>
          {row.serviceName} <span class="trace-name">{row.name}</span>
        </h2>
        <button type="button" class="quiet" aria-label="Close" onClick={onClose}>
          ✕
        </button>
      </header>
      <dl class="facts">
        <Fact term="Duration" value={formatDuration(row.duration)} />
        {row.timestamp !== undefined && trace.start !== undefined && (
          <Fact term="Starts at" value={formatDuration(row.timestamp - trace.start)} />
        )}
        {row.kind && <Fact term="Kind" value={row.kind.toLowerCase()} />}
      </dl>
      <Tags row={row} />
      <Events row={row} start={row.timestamp ?? trace.start} />
      {row.spans.map((span, index) => (
        <Reported key={index} span={span} title={row.spans.length > 1 ? `Reported as ${kindOf(span)}` : 'Reported'} />
      ))}
    </aside>
  );
}

function kindOf(span: Span): string {
  return `${span.kind?.toLowerCase() ?? 'local'}${span.shared ? ', shared' : ''}`;
}

function Fact({ term, value }: { term: string; value: string }) {
  return (
    <div class="fact">
      <dt>{term}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Tags({ row }: { row: Row }) {
  const tags = tagsOf(row);
  return (
    <section>
      <h3>Tags</h3>
      {tags.length === 0 && <p class="muted">None.</p>}
      <dl class="pairs">
        {tags.map(({ key, value, serviceName }) => (
          <div key={`${key}\n${value}`} class={key === 'error' ? 'pair failed' : 'pair'}>
            <dt>
              {key}
              {serviceName && <span class="muted"> {serviceName}</span>}
            </dt>
            <dd>{value === '' ? <span class="muted">empty</span> : value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Events({ row, start }: { row: Row; start: number | undefined }) {
  const events = eventsOf(row);
  if (events.length === 0 || start === undefined) return null;
  return (
    <section>
      <h3>Annotations</h3>
      <ol class="events">
        {events.map((event, index) => (
          <li key={index} class={event.derived ? 'derived' : ''} title={formatInstant(event.timestamp)}>
            <span class="numbers">{signed(event.timestamp - start)}</span>
            <span>{event.text}</span>
            {row.spans.length > 1 && <span class="muted">{event.serviceName}</span>}
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Clocks disagree: what is before the begin has a sign. */
function signed(offset: number): string {
  return offset < 0 ? `−${formatDuration(-offset)}` : `+${formatDuration(offset)}`;
}

function Reported({ span, title }: { span: Span; title: string }) {
  const pairs: [string, string | undefined][] = [
    ['Span ID', span.id],
    ['Parent ID', span.parentId],
    ['Trace ID', span.traceId],
    ['Start', span.timestamp === undefined ? undefined : formatInstant(span.timestamp)],
    ['Local endpoint', span.localEndpoint && formatEndpoint(span.localEndpoint)],
    ['Remote endpoint', span.remoteEndpoint && formatEndpoint(span.remoteEndpoint)],
    ['Debug', span.debug ? 'yes' : undefined],
  ];
  return (
    <section>
      <h3>{title}</h3>
      <dl class="pairs">
        {pairs
          .filter(([, value]) => value !== undefined)
          .map(([key, value]) => (
            <div key={key} class="pair">
              <dt>{key}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  );
}
