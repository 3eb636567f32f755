/** One operation: its rate, errors and durations over time, its neighbours in traces, and its slowest traces. */
import { useEffect, useMemo } from 'preact/hooks';

import type { UiConfig } from '../api';
import { getDeploymentsUntil, getOperations } from '../api/services';
import { formatShare } from '../format';
import { pathOf, withParameters } from '../location';
import { useRequest } from '../request';
import { bandsOf } from '../rollouts';
import { Failure } from '../shell/asked';
import { Figures } from '../shell/figures';
import { Link } from '../shell/link';
import { PageTime } from '../shell/page-time';
import { RegressedLive } from '../shell/regressed-live';
import { sameTime, useAskedWindow } from '../window';
import { Changed, Errors, Rate, Took } from './cells';
import { Neighbours } from './neighbours';
import { RequestCharts } from './request-charts';
import { searchPath } from './search-path';
import { SlowestTraces } from './slowest-traces';
import { text } from './text';

interface Properties {
  config: UiConfig;
  search: string;
  serviceName: string;
  spanName: string;
}

export function OperationPage({ config, search, serviceName, spanName }: Properties) {
  const asked = useAskedWindow(search, config.defaultLookback);
  useEffect(() => {
    document.title = `${serviceName} ${spanName} · Tracehound`;
  }, [serviceName, spanName]);
  const spanKind = new URLSearchParams(search).get('kind');
  const question = { serviceName, spanName, ...(spanKind !== null && { spanKind }) };
  const deployments = useRequest(`${serviceName} ${asked.key}`, (signal) => getDeploymentsUntil(asked.endTs, serviceName, signal));
  const known = deployments.answer?.body;
  const bands = useMemo(() => bandsOf(known ?? [], asked.endTs), [known, asked.endTs]);
  return (
    <main class="page services-page">
      <p class="muted">
        <Link path={sameTime('services')}>{text.services}</Link> /{' '}
        <Link path={sameTime(pathOf('services', serviceName))}>
          <bdi>{serviceName}</bdi>
        </Link>
      </p>
      <h1 class="services-title">
        <bdi>{spanName}</bdi>
      </h1>
      <p class="services-ways">
        <Link path={searchPath({ serviceName, spanName }, asked)}>{text.tracesOf}</Link>
        <Link path={`slo${withParameters('', { create: 'true', serviceName, spanName })}`}>{text.newObjective}</Link>
      </p>
      <PageTime asked={asked} />
      <Failure request={deployments} />
      <RegressedLive deployments={known ?? []} />
      <OperationFigures {...question} asked={asked} />
      <RequestCharts question={question} asked={asked} search={search} bands={bands} />
      {config.searchEnabled && (
        <>
          <Neighbours serviceName={serviceName} spanName={spanName} asked={asked} search={search} />
          <SlowestTraces serviceName={serviceName} spanName={spanName} asked={asked} search={search} />
        </>
      )}
    </main>
  );
}

interface OperationFiguresProperties {
  serviceName: string;
  spanName: string;
  spanKind?: string;
  asked: ReturnType<typeof useAskedWindow>;
}

/** The operation's figures in a row, each with its name. */
function OperationFigures({ serviceName, spanName, spanKind, asked }: OperationFiguresProperties) {
  const operations = useRequest(`${serviceName} ${asked.key}`, (signal) => getOperations(asked.api, serviceName, signal));
  const rows = (operations.answer?.body.operations ?? []).filter((row) => row.spanName === spanName);
  const row = rows.find((candidate) => candidate.spanKind === spanKind) ?? rows.find((candidate) => candidate.spanKind === 'SERVER') ?? rows[0];
  if (!operations.answer) return <Failure request={operations} />;
  if (!row) return <p class="note">{text.noSuchOperation(spanName)}</p>;
  const figures = [
    { name: text.rate, value: <Rate {...row} /> },
    { name: text.errors, value: <Errors {...row} /> },
    { name: text.p50, value: <Took duration={row.p50} /> },
    { name: text.p95, value: <Took duration={row.p95} /> },
    { name: text.p99, value: <Took duration={row.p99} /> },
    { name: text.selfShare, value: row.mean == null || row.selfTimeMean == null || row.mean === 0 ? '–' : formatShare(row.selfTimeMean / row.mean) },
    { name: text.p95Change, value: <Changed change={row.change.p95} row={row} /> },
  ];
  return <Figures figures={figures} />;
}
