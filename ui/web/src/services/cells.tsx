/** Cells of tables about services and operations. */
import type { Change, JudgedDeployment, OperationRow } from '../api/schema';
import { Sparkline } from '../chart/sparkline';
import type { Piece } from '../few';
import { formatAgo, formatChange, formatCount, formatDuration, formatRate, formatShare } from '../format';
import { pathOf } from '../location';
import { isGoingOn } from '../rollouts';
import { Link } from '../shell/link';
import { VerdictChip } from '../shell/verdict-chip';
import type { LiveVersion } from './figures';
import './cells.css';
import { text } from './text';

export function Rate({ rate, count }: { rate: number; count: number }) {
  if (count === 0) return <span class="muted">{text.noRequests}</span>;
  return <span title={formatCount(count, 'request')}>{formatRate(rate)}</span>;
}

export function Errors({ errors, count }: { errors: number; count: number }) {
  if (count === 0) return <span class="muted">–</span>;
  return (
    <span class={errors > 0 ? 'error-note' : ''} title={text.errorsOf(errors, count)}>
      {formatShare(errors / count)}
    </span>
  );
}

export function Versions({ versions }: { versions: readonly LiveVersion[] }) {
  return (
    <span class="services-versions">
      {versions.map(({ version, share }) => (
        <span key={version} class="services-version" title={text.shareOf(version, formatShare(share))}>
          <bdi>{version}</bdi>
          {versions.length > 1 && <span class="muted"> {formatShare(share)}</span>}
        </span>
      ))}
    </span>
  );
}

/** Its version, when it began, what became of it, and the way to its report. */
export function Deployed({ deployment, at }: { deployment: JudgedDeployment | undefined; at: number }) {
  if (!deployment) return <span class="muted">–</span>;
  const { id, version, startTs, verdict, score } = deployment;
  return (
    <span class="services-deployed">
      <Link path={pathOf('deployments', id)}>
        <bdi>{version}</bdi>
      </Link>
      <span class="muted">{formatAgo(startTs * 1000, new Date(at))}</span>
      <VerdictChip verdict={verdict} score={score} running={isGoingOn(deployment, at)} />
    </span>
  );
}

/** How a figure changed against the window before, and whether that is more than chance. */
export function Changed({ change, row }: { change: Change | null | undefined; row: OperationRow }) {
  if (!change) return <span class="muted">{row.beforeCount === 0 ? text.newHere : text.tooLittle}</span>;
  const { difference, relative, low, high, significant } = change;
  const sure = significant === true;
  const why = significant == null ? text.tooLittle : sure ? text.significant : text.chance;
  const interval = low == null || high == null ? why : `${why}; ${text.interval(formatChange(low), formatChange(high))}`;
  return (
    <span class={sure ? (difference > 0 ? 'services-worse' : 'services-better') : 'muted'} title={interval}>
      {sure && <span aria-hidden="true">{difference > 0 ? '▲ ' : '▼ '}</span>}
      {formatChange(difference)}
      {relative != null && ` (${relative > 0 ? '+' : relative < 0 ? '−' : '±'}${formatShare(Math.abs(relative))})`}
      <span class="visually-hidden">, {why}</span>
    </span>
  );
}

/** p50, p95, p99 as columns have them. */
export function Took({ duration }: { duration: number | null | undefined }) {
  return <span class={duration == null ? 'muted' : ''}>{formatDuration(duration ?? undefined)}</span>;
}

/** p95 over time, as soon as it is known. */
export function Spark({ piece }: { piece: Piece<(number | undefined)[]> | undefined }) {
  if (!piece) return <span class="services-skeleton" />;
  if (!piece.answer) return <span class="muted" title={piece.error}>{text.failed}</span>;
  const known = piece.answer.filter((value) => value !== undefined);
  if (known.length === 0) return <span class="muted">–</span>;
  const label = text.sparkLabel(formatDuration(Math.min(...known)), formatDuration(Math.max(...known)));
  return <Sparkline values={piece.answer} label={label} />;
}
