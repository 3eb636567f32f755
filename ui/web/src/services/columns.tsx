/** The columns of tables on the page of a service. */
import type { JudgedDeployment, OperationRow } from '../api/schema';
import type { DependencyLink } from '../api/services';
import type { Pieces } from '../few';
import { digits, formatClock, formatDuration } from '../format';
import { pathOf } from '../location';
import { isGoingOn } from '../rollouts';
import type { Column } from '../shell/data-table';
import { Link } from '../shell/link';
import { Seen } from '../shell/seen';
import { VerdictChip } from '../shell/verdict-chip';
import { sameTime } from '../window';
import { Changed, Errors, Rate, Spark, Took } from './cells';
import { callColumns } from './link-columns';
import { operationKey } from './service-steps';
import { ServiceLink } from './service-columns';
import { text } from './text';

/** Without a kind it is about what answers, as most are. */
export function operationPath({ serviceName, spanName, spanKind }: OperationRow): string {
  const called = spanKind === 'CLIENT' || spanKind === 'PRODUCER';
  return sameTime(pathOf('services', serviceName, spanName), called ? { kind: spanKind } : {});
}

export function operationColumns(steps: Pieces<(number | undefined)[]>): Column<OperationRow>[] {
  const took = (key: 'mean' | 'p50' | 'p95' | 'p99'): Column<OperationRow> => ({
    key,
    title: text[key],
    numeric: true,
    cell: (row) => <Took duration={row[key]} />,
    sortBy: (row) => row[key] ?? undefined,
  });
  return [
    {
      key: 'operation',
      title: text.operation,
      cell: (row) => (
        <Link path={operationPath(row)} class="services-name">
          <bdi>{row.spanName}</bdi>
        </Link>
      ),
      sortBy: (row) => row.spanName,
    },
    { key: 'kind', title: text.kind, cell: (row) => <span class="muted">{row.spanKind ?? text.local}</span>, sortBy: (row) => row.spanKind ?? '' },
    { key: 'rate', title: text.rate, numeric: true, cell: (row) => <Rate {...row} />, sortBy: (row) => row.rate },
    { key: 'errors', title: text.errors, numeric: true, cell: (row) => <Errors {...row} />, sortBy: (row) => row.errorRate ?? undefined },
    took('mean'),
    took('p50'),
    took('p95'),
    took('p99'),
    {
      key: 'spark',
      title: text.p95Time,
      cell: (row) => (
        <Seen name={operationKey(row)} onSeen={steps.want}>
          <Spark piece={steps.known.get(operationKey(row))} />
        </Seen>
      ),
    },
    {
      key: 'change',
      title: text.p95Change,
      numeric: true,
      cell: (row) => <Changed change={row.change.p95} row={row} />,
      sortBy: (row) => row.change.p95?.difference,
    },
    {
      key: 'calls',
      title: text.callsPerTrace,
      numeric: true,
      cell: (row) => (row.callsPerTrace == null ? '–' : digits(row.callsPerTrace)),
      sortBy: (row) => row.callsPerTrace ?? undefined,
    },
  ];
}

export function deploymentColumns(at: number): Column<JudgedDeployment>[] {
  return [
    {
      key: 'version',
      title: text.version,
      cell: ({ id, version, previousVersion }) => (
        <>
          <Link path={pathOf('deployments', id)} class="services-name">
            <bdi>{version}</bdi>
          </Link>
          {previousVersion != null && <span class="muted"> ← {<bdi>{previousVersion}</bdi>}</span>}
        </>
      ),
      sortBy: ({ version }) => version,
    },
    { key: 'began', title: text.began, cell: ({ startTs }) => formatClock(startTs, new Date(at)), sortBy: ({ startTs }) => startTs },
    { key: 'took', title: text.took, numeric: true, cell: (row) => <Lasted deployment={row} at={at} />, sortBy: ({ startTs, endTs }) => (endTs == null ? undefined : endTs - startTs) },
    { key: 'environment', title: text.environment, cell: ({ environment }) => <bdi>{environment ?? '–'}</bdi>, sortBy: ({ environment }) => environment ?? undefined },
    {
      key: 'verdict',
      title: text.verdict,
      cell: (row) => <VerdictChip verdict={row.verdict} score={row.score} running={isGoingOn(row, at)} />,
      sortBy: ({ verdict }) => verdict ?? undefined,
    },
  ];
}

function Lasted({ deployment, at }: { deployment: JudgedDeployment; at: number }) {
  const { startTs, endTs } = deployment;
  if (isGoingOn(deployment, at)) return <span>{text.goesOn}</span>;
  return <span>{endTs == null ? '–' : formatDuration((endTs - startTs) * 1000)}</span>;
}

/** Callers, or callees. */
export function linkColumns(end: 'parent' | 'child', title: string): Column<DependencyLink>[] {
  return [
    { key: 'service', title, cell: (link) => <ServiceLink name={link[end]} />, sortBy: (link) => link[end] },
    ...callColumns(['p95']),
  ];
}
