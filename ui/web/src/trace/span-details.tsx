/** Everything that is known of one row: what the timeline has of it, and what was reported. */
import type { ComponentChildren } from 'preact';

import type { RowSpans, Span } from '../api';
import { formatChange, formatDuration, formatExact, formatInstant } from '../format';
import { Message } from '../shell/message';
import { copyLink } from '../shell/shortcuts';
import { withParameters } from '../location';
import { eventsOf, formatEndpoint, tagsOf } from './detail';
import { at } from './groups';
import type { Model } from './model';
import { nameOf, remoteOf, serviceOf, versionOf } from './names';
import { type Details, type SpanSource, useRowSpans } from './span-request';
import { text } from './text';
import { UsualTimes } from './usual';
import { idOf, known } from './view';

interface Properties {
  model: Model;
  source: SpanSource;
  /** Where a span's logs are; `null` where nobody said. */
  logsUrl: string | null;
  onClose: () => void;
}

export function SpanDetails({ model, source, logsUrl, onClose }: Properties) {
  const { view, selected: row } = model;
  const id = idOf(view.rows, row);
  const request = useRowSpans(source, id);
  const { answer, error, slow, retry } = request;
  return (
    <div class="trace-details">
      <header>
        <h2>
          <bdi>{serviceOf(view, row)}</bdi> <bdi class="trace-name">{nameOf(view, row)}</bdi>
        </h2>
        <button type="button" class="quiet" aria-label={text.close} title={text.close} onClick={onClose}>
          ✕
        </button>
      </header>
      <SpanActions model={model} row={row} id={id} logsUrl={logsUrl} />
      <Facts model={model} row={row} />
      {at(view.rows.skew, row) !== 0 && <p class="note">{text.clockMoved(formatChange(at(view.rows.skew, row)))}</p>}
      {source.stored && <UsualTimes view={view} row={row} />}
      {error && (
        <Message title={text.detailsFailed} tone="error">
          <p>{error.message}</p>
          <button type="button" onClick={retry}>
            {text.tryAgain}
          </button>
        </Message>
      )}
      {slow && !answer && (
        <p class="muted" role="status">
          {text.loadingDetails}
        </p>
      )}
      {answer && <Reported answer={answer} start={view.start + Math.max(0, at(view.rows.start, row))} />}
    </div>
  );
}

function SpanActions({ model, row, id, logsUrl }: { model: Model; row: number; id: string; logsUrl: string | null }) {
  const copy = () => {
    const url = new URL(location.href);
    url.search = withParameters(url.search, { span: id });
    void copyLink(url.href);
  };
  return (
    <p class="trace-details-actions">
      <button type="button" onClick={copy}>
        {text.copySpanLink}
      </button>
      {model.root !== row && (
        <button type="button" onClick={() => model.setRoot(row)}>
          {text.focusHere}
        </button>
      )}
      {logsUrl !== null && (
        <a class="button" href={logsUrl} target="_blank" rel="noreferrer">
          {text.logs}
        </a>
      )}
    </p>
  );
}

function Facts({ model: { view }, row }: { model: Model; row: number }) {
  const { rows } = view;
  const [start, duration] = [known(rows.start[row]), known(rows.duration[row])];
  const [critical, version, remote] = [at(rows.critical, row), versionOf(view, row), remoteOf(view, row)];
  return (
    <dl class="trace-facts">
      <Fact term={text.duration} title={formatExact(duration)}>
        {formatDuration(duration)}
      </Fact>
      {duration !== undefined && (
        <Fact term={text.selfTime} title={formatExact(rows.self[row])}>
          {formatDuration(rows.self[row])}
        </Fact>
      )}
      {start !== undefined && (
        <Fact term={text.startsAt} title={formatExact(start)}>
          {formatDuration(start)}
        </Fact>
      )}
      {critical > 0 && (
        <Fact term={text.onCriticalPath} title={formatExact(critical)}>
          {text.criticalShare(formatDuration(critical), critical / view.duration)}
        </Fact>
      )}
      {at(rows.kind, row) > 0 && <Fact term={text.kind}>{text.kinds[at(rows.kind, row)]}</Fact>}
      {version !== undefined && <Fact term={text.version}>{version}</Fact>}
      {remote !== undefined && <Fact term={text.calledService}>{remote}</Fact>}
    </dl>
  );
}

export function Fact({ term, title, children }: { term: string; title?: string; children: ComponentChildren }) {
  return (
    <div class="trace-fact" title={title}>
      <dt>{term}</dt>
      <dd>
        <bdi>{children}</bdi>
      </dd>
    </div>
  );
}

function Reported({ answer, start }: { answer: Details; start: number }) {
  const { spans, others = [] } = answer;
  return (
    <>
      {(spans.length > 0 || others.length === 0) && <Tags spans={spans} />}
      <Events answer={answer} start={start} />
      {spans.map((span, index) => (
        <ReportedSpan key={index} span={span} title={spans.length > 1 ? text.reportedAs(kindOf(span)) : text.reported} />
      ))}
      {others.map((json) => (
        <section key={json}>
          <h3>{text.asInFile}</h3>
          <pre class="trace-json" tabIndex={0}>
            {json.slice(0, JSON_MAX)}
          </pre>
        </section>
      ))}
    </>
  );
}

/** Characters; a longer span is cut. */
const JSON_MAX = 50_000;

function kindOf(span: Span): string {
  const kind = span.kind?.toLowerCase() ?? text.kinds[0] ?? '';
  return span.shared ? text.shared(kind) : kind;
}

function Tags({ spans }: { spans: readonly Span[] }) {
  const tags = tagsOf(spans);
  return (
    <section>
      <h3>{text.tags}</h3>
      {tags.length === 0 && <p class="muted">{text.none}</p>}
      <dl class="trace-pairs">
        {tags.map(({ key, value, serviceName }) => (
          <div key={`${key}\n${value}`} class={key === 'error' ? 'trace-pair failed' : 'trace-pair'}>
            <dt>
              <bdi>{key}</bdi>
              {serviceName && <span class="muted"> {serviceName}</span>}
            </dt>
            <dd>{value === '' ? <span class="muted">{text.empty}</span> : <bdi>{value}</bdi>}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Events({ answer, start }: { answer: RowSpans; start: number }) {
  const events = eventsOf(answer);
  if (events.length === 0) return null;
  return (
    <section>
      <h3>{text.annotations}</h3>
      <ol class="trace-events">
        {events.map((event, index) => (
          <li key={index} class={event.derived ? 'derived' : ''} title={formatInstant(event.timestamp)}>
            <span class="numbers">{formatChange(event.timestamp - start)}</span>
            <bdi>{event.text}</bdi>
            {answer.spans.length > 1 && <span class="muted">{event.serviceName}</span>}
          </li>
        ))}
      </ol>
    </section>
  );
}

function ReportedSpan({ span, title }: { span: Span; title: string }) {
  const { fields } = text;
  const pairs: [string, string | undefined][] = [
    [fields.id, span.id],
    [fields.parentId, span.parentId],
    [fields.traceId, span.traceId],
    [fields.start, span.timestamp === undefined ? undefined : formatInstant(span.timestamp)],
    [fields.local, span.localEndpoint && formatEndpoint(span.localEndpoint)],
    [fields.remote, span.remoteEndpoint && formatEndpoint(span.remoteEndpoint)],
    [fields.debug, span.debug ? text.yes : undefined],
  ];
  return (
    <section>
      <h3>{title}</h3>
      <dl class="trace-pairs">
        {pairs
          .filter(([, value]) => value !== undefined)
          .map(([key, value]) => (
            <div key={key} class="trace-pair">
              <dt>{key}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  );
}
