/** The versions of a service that had requests, each with its share and its figures. */
import { useMemo } from 'preact/hooks';

import type { LatencyChart } from '../api/schema';
import { getLatency } from '../api/services';
import { formatDuration, formatShare } from '../format';
import { useRequest } from '../request';
import { Asked } from '../shell/asked';
import { type Column, DataTable } from '../shell/data-table';
import type { AskedWindow } from '../window';
import { Errors, Took } from './cells';
import { type Percentiles, sparkStep, usualPercentiles } from './figures';
import { text } from './text';

interface VersionRow {
  version: string | undefined;
  count: number;
  errors: number;
  /** Of all requests. */
  share: number;
  percentiles: Percentiles | undefined;
}

interface Properties {
  serviceName: string;
  asked: AskedWindow;
  search: string;
}

export function VersionTable({ serviceName, asked, search }: Properties) {
  const step = sparkStep(asked.range.lookback);
  const latency = useRequest(`${serviceName} ${asked.key}`, (signal) => getLatency({ serviceName, step, groupBy: 'version' }, asked.api, signal));
  const columns = useMemo(versionColumns, []);
  return (
    <section class="services-section">
      <h2>{text.versionsOf}</h2>
      <Asked request={latency} missing={({ body, missing }) => missing ?? (body.leftOut ? text.versionsLeftOut(body.leftOut.versions) : null)}>
        {({ body }) => {
          const rows = versionRows(body);
          if (rows.length === 0) return <p class="muted">{text.noRequests}</p>;
          return (
            <>
              {rows.every(({ version }) => version === undefined) && (
                <p class="note">
                  {text.noVersions} {text.howVersions}
                </p>
              )}
              <p class="chart-summary">{text.usual(formatDuration(body.step * 1000))}</p>
              <DataTable label={text.versionsOf} columns={columns} rows={rows} rowKey={({ version }) => version ?? ''} search={search} parameter="versions" />
            </>
          );
        }}
      </Asked>
    </section>
  );
}

function versionRows({ series }: LatencyChart): VersionRow[] {
  const rows = series.map(({ version, points }) => ({
    version: version ?? undefined,
    count: points.reduce((sum, point) => sum + point.count, 0),
    errors: points.reduce((sum, point) => sum + point.errors, 0),
    percentiles: usualPercentiles(points),
  }));
  const all = rows.reduce((sum, { count }) => sum + count, 0);
  return rows.filter(({ count }) => count > 0).map((row) => ({ ...row, share: row.count / all }));
}

function versionColumns(): Column<VersionRow>[] {
  const took = (key: keyof Percentiles): Column<VersionRow> => ({
    key,
    title: text[key],
    numeric: true,
    cell: ({ percentiles }) => <Took duration={percentiles?.[key]} />,
    sortBy: ({ percentiles }) => percentiles?.[key],
  });
  return [
    { key: 'version', title: text.version, cell: ({ version }) => (version === undefined ? <span class="muted">{text.noVersion}</span> : <bdi>{version}</bdi>), sortBy: ({ version }) => version },
    { key: 'count', title: text.requests, numeric: true, cell: ({ count }) => count.toLocaleString('en'), sortBy: ({ count }) => count },
    { key: 'share', title: text.share, numeric: true, cell: ({ share }) => formatShare(share), sortBy: ({ share }) => share },
    { key: 'errors', title: text.errors, numeric: true, cell: (row) => <Errors {...row} />, sortBy: ({ errors, count }) => errors / count },
    took('p50'),
    took('p95'),
    took('p99'),
  ];
}
