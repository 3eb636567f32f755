/** The traces in which an operation took longest. */
import { useMemo } from 'preact/hooks';

import { getTraceSummaries, type TraceSummary } from '../api';
import { formatCount, formatDuration, formatTime } from '../format';
import { pathOf } from '../location';
import { useRequest } from '../request';
import { Asked } from '../shell/asked';
import { type Column, DataTable } from '../shell/data-table';
import { Link } from '../shell/link';
import type { AskedWindow } from '../window';
import { searchPath } from './search-path';
import { text } from './text';

interface Properties {
  serviceName: string;
  spanName: string;
  asked: AskedWindow;
  search: string;
}

const SHOWN = 10;

export function SlowestTraces({ serviceName, spanName, asked, search }: Properties) {
  const found = useRequest(`${serviceName} ${spanName} ${asked.key}`, (signal) =>
    getTraceSummaries(new URLSearchParams({ serviceName, spanName, sort: 'slowest', limit: String(SHOWN), ...asked.api }), signal),
  );
  const columns = useMemo(() => traceColumns(serviceName, asked.endTs), [serviceName, asked.endTs]);
  return (
    <section class="services-section">
      <h2>{text.slowest}</h2>
      <Asked request={found} missing={({ missing }) => missing}>
        {({ traces }) =>
          traces.length === 0 ? (
            <p class="muted">{text.noTraces}</p>
          ) : (
            <>
              <DataTable label={text.slowest} columns={columns} rows={traces} rowKey={({ traceId }) => traceId} pathOf={({ traceId }) => pathOf('traces', traceId)} search={search} parameter="slowest" />
              <p>
                <Link path={searchPath({ serviceName, spanName, sort: 'slowest' }, asked)}>{text.moreSlowest}</Link>
              </p>
            </>
          )
        }
      </Asked>
    </section>
  );
}

function traceColumns(serviceName: string, at: number): Column<TraceSummary>[] {
  return [
    {
      key: 'trace',
      title: text.trace,
      cell: ({ traceId, root }) => (
        <Link path={pathOf('traces', traceId)} class="services-name">
          <bdi>
            {root?.serviceName} {root?.spanName ?? traceId}
          </bdi>
        </Link>
      ),
    },
    { key: 'when', title: text.when, cell: ({ timestamp }) => (timestamp === undefined ? '–' : formatTime(timestamp, new Date(at))), sortBy: ({ timestamp }) => timestamp },
    { key: 'took', title: text.traceTook, numeric: true, cell: ({ duration }) => formatDuration(duration), sortBy: ({ duration }) => duration },
    { key: 'spans', title: text.spans, numeric: true, cell: ({ spanCount }) => spanCount.toLocaleString('en'), sortBy: ({ spanCount }) => spanCount },
    { key: 'errors', title: text.errors, numeric: true, cell: ({ errorCount }) => <span class={errorCount > 0 ? 'error-note' : 'muted'} title={formatCount(errorCount, 'error')}>{errorCount}</span>, sortBy: ({ errorCount }) => errorCount },
    { key: 'versions', title: text.version, cell: ({ services }) => <bdi>{services.find((service) => service.serviceName === serviceName)?.versions.join(', ') || '–'}</bdi> },
  ];
}
