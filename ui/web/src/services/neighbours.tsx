/** Who calls an operation, and what it calls for a request, out of its newest traces. */
import { useMemo } from 'preact/hooks';

import { getTraces, getTraceSummaries } from '../api';
import { digits, formatDuration } from '../format';
import { pathOf } from '../location';
import { useRequest } from '../request';
import { Asked } from '../shell/asked';
import { type Column, DataTable } from '../shell/data-table';
import { Link } from '../shell/link';
import { type AskedWindow, sameTime } from '../window';
import { aroundOperation, type Neighbour } from './around';
import { text } from './text';

interface Properties {
  serviceName: string;
  spanName: string;
  asked: AskedWindow;
  search: string;
}

/** How many traces are read at most, and how many spans of them together. */
const TRACES = 50;
const SPANS = 5000;

export function Neighbours({ serviceName, spanName, asked, search }: Properties) {
  const around = useRequest(`${serviceName} ${spanName} ${asked.key}`, async (signal) => {
    const parameters = new URLSearchParams({ serviceName, spanName, limit: String(TRACES), ...asked.api });
    const { traces: summaries, missing } = await getTraceSummaries(parameters, signal);
    let room = SPANS;
    const ids = summaries.filter(({ spanCount }) => (room -= spanCount) >= 0).map(({ traceId }) => traceId);
    const traces = await getTraces(ids, signal);
    return { missing, traces: traces.length, ...aroundOperation(traces, serviceName, spanName) };
  });
  return (
    <section class="services-section">
      <h2>{text.aroundIt}</h2>
      <Asked request={around} missing={({ missing }) => missing}>
        {({ traces, requests, callers, callees, fromOutside }) =>
          requests === 0 ? (
            <p class="muted">{text.noTraces}</p>
          ) : (
            <>
              <p class="chart-summary">
                {text.aroundSummary(traces, requests)} {fromOutside > 0 && text.fromOutside(fromOutside)}
              </p>
              <div class="services-sides">
                <Side title={text.callers} none={text.outside} rows={callers} requests={requests} search={search} />
                <Side title={text.callees} none={text.nothingCalled} rows={callees} requests={requests} search={search} />
              </div>
            </>
          )
        }
      </Asked>
    </section>
  );
}

interface SideProperties {
  title: string;
  none: string;
  rows: Neighbour[];
  requests: number;
  search: string;
}

function Side({ title, none, rows, requests, search }: SideProperties) {
  const columns = useMemo(() => columnsOf(requests), [requests]);
  return (
    <section>
      <h3>{title}</h3>
      {rows.length === 0 ? (
        <p class="muted">{none}</p>
      ) : (
        <DataTable label={title} columns={columns} rows={rows} rowKey={({ serviceName, spanName }) => `${serviceName} ${spanName}`} search={search} parameter={title.toLowerCase()} />
      )}
    </section>
  );
}

function columnsOf(requests: number): Column<Neighbour>[] {
  const calls = ({ calls }: Neighbour) => calls / requests;
  return [
    {
      key: 'operation',
      title: text.operation,
      cell: ({ serviceName, spanName }) =>
        serviceName === '' ? (
          <bdi>{spanName || '–'}</bdi>
        ) : (
          <Link path={sameTime(spanName === '' ? pathOf('services', serviceName) : pathOf('services', serviceName, spanName))} class="services-name">
            <bdi>
              {serviceName} {spanName}
            </bdi>
          </Link>
        ),
      sortBy: ({ serviceName, spanName }) => `${serviceName} ${spanName}`,
    },
    { key: 'calls', title: text.perRequest, numeric: true, cell: (row) => digits(calls(row)), sortBy: calls },
    { key: 'mean', title: text.meanTook, numeric: true, cell: ({ mean }) => formatDuration(mean), sortBy: ({ mean }) => mean },
  ];
}
