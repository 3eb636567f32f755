/** What leaves a trace's page: a summary for a ticket, the trace for an archive, and addresses of logs. */
import type { Span } from '../api';
import { ApiError, sendJson } from '../api';
import { formatDuration, formatInstant, formatShare } from '../format';
import { at } from './groups';
import { nameOf, serviceOf } from './names';
import { operationsOf } from './operations';
import { text } from './text';
import { idOf, type TraceView } from './view';

/** An address with its places filled: `{traceId}`, `{spanId}`, `{serviceName}`, `{startTs}`, `{endTs}`; `null` of a bad one. */
export function filled(pattern: string | null | undefined, values: Record<string, string>): string | null {
  if (!pattern) return null;
  const url = pattern.replace(/\{(\w+)\}/g, (whole, key: string) => {
    const value = values[key];
    return value === undefined ? whole : encodeURIComponent(value);
  });
  // Configured by who runs the server; still, only what leads to a page is made a link.
  return /^(https?:|\/)/i.test(url) ? url : null;
}

/** What places in addresses stand for. */
export function linkValues(view: TraceView, row: number): Record<string, string> {
  const [start, end] = [view.start / 1000, (view.start + view.duration) / 1000];
  const trace = { traceId: view.traceId, startTs: String(Math.floor(start)), endTs: String(Math.ceil(end)) };
  if (row < 0) return { ...trace, spanId: '', serviceName: serviceOf(view, 0) };
  return { ...trace, spanId: idOf(view.rows, row), serviceName: serviceOf(view, row) };
}

const OPERATIONS_MAX = 10;

/** Text in a cell of a Markdown table: nothing in it may end the cell or begin markup. */
function cell(words: string): string {
  return words.slice(0, 200).replace(/[\\`*_{}[\]<>#|~]/g, '\\$&').replaceAll(/\s+/g, ' ');
}

/** What a ticket needs: what, when, how long, what failed, and where the time went. */
export function markdownOf(view: TraceView, address: string): string {
  const { rows } = view;
  const title = rows.count > 0 ? `${serviceOf(view, 0)} ${nameOf(view, 0)}` : view.traceId;
  const failed = failedRows(view);
  const operations = operationsOf(rows, 0, rows.count, new Uint8Array(view.services.length));
  const top = operations.toSorted((a, b) => b.critical - a.critical || b.self - a.self).slice(0, OPERATIONS_MAX);
  const critical = operations.reduce((sum, operation) => sum + operation.critical, 0);
  const lines = top.map((operation) => {
    const name = `${view.services[operation.service] ?? text.unknownService} ${view.names[operation.name] || text.unnamedSpan}`;
    const share = critical > 0 ? formatShare(operation.critical / critical) : '–';
    return `| ${cell(name)} | ${operation.calls} | ${operation.errors} | ${formatDuration(operation.self)} | ${formatDuration(operation.critical)} (${share}) |`;
  });
  return [
    `**${cell(title)}** – ${formatDuration(view.duration)}, ${view.start > 0 ? formatInstant(view.start) : '–'}`,
    '',
    `[${text.trace(view.traceId)}](${address}) · ${view.spanCount} ${text.spans.toLowerCase()} · ${view.services.length} ${text.services.toLowerCase()} · ${text.failedCalls(failed)}`,
    '',
    `| ${text.operation} | ${text.callCount} | ${text.errorCount} | ${text.selfColumn} | ${text.criticalColumn} |`,
    '| --- | ---: | ---: | ---: | ---: |',
    ...lines,
    '',
  ].join('\n');
}

/** The spans with the mark that Zipkin's page gives to those it archives: a tag of the first span without a parent. */
export function markedAsArchived(spans: readonly Span[]): Span[] {
  const root = spans.findIndex((span) => span.parentId === undefined);
  return spans.map((span, index) => (index === root ? { ...span, tags: { ...span.tags, 'zipkin.archived': 'true' } } : span));
}

/** Posts a trace to where traces are kept. */
export async function archive(spans: readonly Span[], archivePostUrl: string): Promise<void> {
  if (spans.length === 0) throw new ApiError(404, text.notFound);
  await sendJson('POST', archivePostUrl, markedAsArchived(spans));
}

/** How many rows failed: a call that failed on both sides failed once. */
export function failedRows(view: TraceView): number {
  let failed = 0;
  for (let row = 0; row < view.rows.count; row++) failed += at(view.rows.error, row);
  return failed;
}
