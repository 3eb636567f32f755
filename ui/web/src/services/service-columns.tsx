/** The columns of the list of services. */
import type { JudgedDeployment } from '../api/schema';
import type { Piece, Pieces } from '../few';
import { formatDuration, formatShare } from '../format';
import { pathOf } from '../location';
import type { Column } from '../shell/data-table';
import { Link } from '../shell/link';
import { Seen } from '../shell/seen';
import { sameTime } from '../window';
import type { ServiceBudget } from './budgets';
import { Deployed, Errors, Rate, Spark, Took, Versions } from './cells';
import type { Percentiles, ServiceFigures, ServiceSteps } from './figures';
import { text } from './text';

export interface ServiceRow extends ServiceFigures {
  deployment: JudgedDeployment | undefined;
  /** A version that made something worse is live. */
  regressed: boolean;
}

export function serviceColumns(steps: Pieces<ServiceSteps>, budgets: Pieces<ServiceBudget | null>, onSeen: (name: string) => void, at: number): Column<ServiceRow>[] {
  const stepsOf = ({ serviceName }: ServiceRow) => steps.known.get(serviceName)?.answer;
  const percentile = (key: keyof Percentiles) => (row: ServiceRow) => row[key] ?? stepsOf(row)?.percentiles?.[key];
  const took = (key: keyof Percentiles): Column<ServiceRow> => ({
    key,
    title: text[key],
    numeric: true,
    cell: (row) => (row[key] === undefined ? <About duration={percentile(key)(row)} /> : <Took duration={row[key]} />),
    sortBy: percentile(key),
  });
  const idle = ({ count }: ServiceRow) => count === 0;
  return [
    { key: 'service', title: text.service, cell: (row) => <ServiceLink name={row.serviceName} />, sortBy: (row) => row.serviceName },
    { key: 'rate', title: text.rate, numeric: true, cell: (row) => <Rate {...row} />, sortBy: (row) => row.rate },
    { key: 'errors', title: text.errors, numeric: true, cell: (row) => <Errors {...row} />, sortBy: (row) => (idle(row) ? undefined : row.errors / row.count) },
    took('p50'),
    took('p95'),
    took('p99'),
    {
      key: 'spark',
      title: text.p95Time,
      cell: (row) =>
        idle(row) ? null : (
          <Seen name={row.serviceName} onSeen={onSeen}>
            <Spark piece={p95sOf(steps.known.get(row.serviceName))} />
          </Seen>
        ),
    },
    { key: 'versions', title: text.versions, cell: (row) => <Versions versions={stepsOf(row)?.live ?? []} />, sortBy: (row) => stepsOf(row)?.live.length },
    { key: 'deployment', title: text.lastDeployment, cell: (row) => <Deployed deployment={row.deployment} at={at} />, sortBy: (row) => row.deployment?.startTs },
    {
      key: 'slo',
      title: text.budgetLeft,
      numeric: true,
      cell: (row) => <BudgetLeft piece={budgets.known.get(row.serviceName)} />,
      sortBy: (row) => budgets.known.get(row.serviceName)?.answer?.left,
    },
  ];
}

function p95sOf(piece: Piece<ServiceSteps> | undefined): Piece<(number | undefined)[]> | undefined {
  return piece?.answer ? { answer: piece.answer.p95s } : piece?.error === undefined ? undefined : { error: piece.error };
}

/** Of several operations: the usual one of a step. */
function About({ duration }: { duration: number | undefined }) {
  if (duration === undefined) return <Took duration={undefined} />;
  return <span title={text.about}>≈ {formatDuration(duration)}</span>;
}

export function ServiceLink({ name }: { name: string }) {
  if (name === '') return <span class="muted">{text.unnamed}</span>;
  return (
    <Link path={sameTime(pathOf('services', name))} class="services-name">
      <bdi>{name}</bdi>
    </Link>
  );
}

function BudgetLeft({ piece }: { piece: Piece<ServiceBudget | null> | undefined }) {
  if (piece?.error !== undefined) return <span class="muted" title={piece.error}>{text.failed}</span>;
  if (!piece?.answer) return <span class="muted">–</span>;
  const { name, left } = piece.answer;
  const shown = left === undefined ? '?' : formatShare(left);
  return (
    <Link path={pathOf('slo', name)} class={left !== undefined && left <= 0 ? 'services-worse' : ''}>
      <span title={left === undefined ? text.budgetUnknown : text.budgetOf(name, shown)}>{shown}</span>
    </Link>
  );
}
