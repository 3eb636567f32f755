/** The traces that were found, as a list or as a table. Each is a link, and can be selected to be compared. */
import type { ServiceSummary, TraceSummary } from '../api';
import { formatAgo, formatDuration, formatExact, formatInstant, formatTime } from '../format';
import { Link } from '../shell/link';
import { text } from './text';

export interface RowsProperties {
  traces: readonly TraceSummary[];
  selected: readonly string[];
  onSelect: (traceId: string) => void;
}

interface RowProperties {
  trace: TraceSummary;
  /** The longest duration of the rows, in microseconds. */
  longest: number;
  now: Date;
  /** 0 or 1 where it is selected, -1 where it is not. */
  place: number;
  onSelect: (traceId: string) => void;
}

/** More badges than these say nothing more; the trace has them all. */
const SERVICES_MAX = 12;

/** Of a trace, as it is spoken of: `gateway get /checkout`. */
export function nameOf({ root, services = [] }: TraceSummary): { service: string; span: string } {
  return {
    service: root?.serviceName || services[0]?.serviceName || text.unknownService,
    span: root ? root.spanName || text.unnamedSpan : text.noRoot,
  };
}

export function ResultRows({ as, ...properties }: RowsProperties & { as: 'list' | 'table' }) {
  const { traces, selected, onSelect } = properties;
  const longest = traces.reduce((longest, { duration }) => Math.max(longest, duration ?? 0), 1);
  const now = new Date();
  const rows = traces.map((trace) => ({
    trace,
    longest,
    now,
    place: selected.indexOf(trace.traceId),
    onSelect,
  }));
  if (as === 'table') return <Table rows={rows} />;
  return (
    <ol class="result-list" aria-label={text.results}>
      {rows.map((row) => (
        <Block key={row.trace.traceId} {...row} />
      ))}
    </ol>
  );
}

/** Alt and a click select; everything else is the link's. */
function selectsByAlt({ trace, onSelect }: RowProperties) {
  return (event: MouseEvent) => {
    if (!event.altKey) return;
    event.preventDefault();
    onSelect(trace.traceId);
  };
}

function Block(row: RowProperties) {
  const { trace, now, place } = row;
  const { matchedSpans = [] } = trace;
  return (
    <li class={`result ${place >= 0 ? 'selected' : ''}`} data-trace={trace.traceId} onClickCapture={selectsByAlt(row)}>
      <Select {...row} />
      <Root trace={trace} />
      <span class="result-start">
        <Start trace={trace} now={now} /> <Ago trace={trace} now={now} />
      </span>
      <span class="result-counts">
        <span class="numbers">{text.spans(trace.spanCount)}</span>
        {matchedSpans.length > 0 && <span class="muted">{text.matching(matchedSpans.length)}</span>}
        <Errors trace={trace} />
      </span>
      <Duration {...row} />
      <Services services={trace.services} />
    </li>
  );
}

function Table({ rows }: { rows: RowProperties[] }) {
  const { columns } = text;
  return (
    <div class="table-box result-box" tabIndex={0} role="region" aria-label={text.results}>
      <table class="result-table">
        <thead>
          <tr>
            <th scope="col">
              <span class="visually-hidden">{text.compare}</span>
            </th>
            {[columns.trace, columns.start, columns.ago].map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
            <th scope="col" class="number">
              {columns.spans}
            </th>
            <th scope="col">{columns.errors}</th>
            <th scope="col">{columns.duration}</th>
            <th scope="col">{columns.services}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <TableRow key={row.trace.traceId} {...row} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function TableRow(row: RowProperties) {
  const { trace, now, place } = row;
  return (
    <tr class={place >= 0 ? 'selected' : ''} data-trace={trace.traceId} onClickCapture={selectsByAlt(row)}>
      <td>
        <Select {...row} />
      </td>
      <td>
        <Root trace={trace} />
      </td>
      <td class="unbroken">
        <Start trace={trace} now={now} />
      </td>
      <td class="unbroken">
        <Ago trace={trace} now={now} />
      </td>
      <td class="number">{trace.spanCount.toLocaleString('en')}</td>
      <td class="unbroken">
        <Errors trace={trace} />
      </td>
      <td>
        <Duration {...row} />
      </td>
      <td>
        <Services services={trace.services} />
      </td>
    </tr>
  );
}

function Select({ trace, place, now, onSelect }: RowProperties) {
  const { service, span } = nameOf(trace);
  const when = trace.timestamp === undefined ? '' : `, ${formatTime(trace.timestamp, now)}`;
  return (
    <label class="result-select">
      <input
        type="checkbox"
        checked={place >= 0}
        aria-label={text.select(`${service} ${span}, ${formatDuration(trace.duration)}${when}`)}
        onChange={() => onSelect(trace.traceId)}
      />
      {place >= 0 && <span aria-hidden="true">{'AB'[place]}</span>}
    </label>
  );
}

function Root({ trace }: { trace: TraceSummary }) {
  const { service, span } = nameOf(trace);
  return (
    <Link path={`traces/${trace.traceId}`} class="result-root">
      <bdi class="result-service">{service}</bdi> <bdi>{span}</bdi>
    </Link>
  );
}

function Start({ trace: { timestamp }, now }: { trace: TraceSummary; now: Date }) {
  if (timestamp === undefined) return <span class="muted">{text.noTime}</span>;
  return (
    <time class="numbers" dateTime={isoTime(timestamp / 1000)} title={formatInstant(timestamp)}>
      {formatTime(timestamp, now)}
    </time>
  );
}

/** `undefined` of what is no time that a calendar has. */
function isoTime(ms: number): string | undefined {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

function Ago({ trace: { timestamp }, now }: { trace: TraceSummary; now: Date }) {
  return timestamp === undefined ? null : <span class="muted">{formatAgo(timestamp, now)}</span>;
}

function Errors({ trace: { errorCount } }: { trace: TraceSummary }) {
  return errorCount > 0 ? <span class="error-note">✖ {text.errors(errorCount)}</span> : null;
}

function Duration({ trace: { duration }, longest }: RowProperties) {
  return (
    <span class="result-duration">
      <span class="numbers" title={formatExact(duration)}>
        {formatDuration(duration)}
      </span>
      <span class="result-track" aria-hidden="true">
        {duration !== undefined && (
          <span class="result-bar" style={{ width: `${(duration / longest) * 100}%` }} />
        )}
      </span>
    </span>
  );
}

function Services({ services = [] }: { services: ServiceSummary[] | undefined }) {
  const left = services.length - SERVICES_MAX;
  return (
    <span class="result-services">
      {services.slice(0, SERVICES_MAX).map(({ serviceName, spanCount, versions = [] }) => (
        <span class="badge" key={serviceName}>
          <bdi>{serviceName}</bdi>
          <span class="badge-count">×{spanCount.toLocaleString('en')}</span>
          {versions.length > 0 && <bdi class="badge-version">{versions.join(', ')}</bdi>}
        </span>
      ))}
      {left > 0 && <span class="muted">{text.others(left)}</span>}
    </span>
  );
}
