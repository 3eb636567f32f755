/** Which deployment spent how much of a budget, as their reports tell it. */
import { useEffect, useMemo } from 'preact/hooks';

import { apiUrl, getJson } from '../api';
import type { JudgedDeployment, Objective, Report } from '../api/schema';
import { type Piece, useFew } from '../few';
import { formatClock, formatShare } from '../format';
import { pathOf } from '../location';
import { isGoingOn } from '../rollouts';
import { type Column, DataTable } from '../shell/data-table';
import { Link } from '../shell/link';
import { VerdictChip } from '../shell/verdict-chip';
import { text } from './text';

interface Properties {
  objective: Objective;
  /** Of its service, the newest first. */
  deployments: readonly JudgedDeployment[];
  search: string;
  at: number;
}

/** A report is work for the server. */
const REPORTS = 10;

const DAY_MS = 86_400_000;

export function SpentByDeployment({ objective, deployments, search, at }: Properties) {
  const { name, windowDays } = objective;
  const shown = useMemo(() => deployments.filter(({ startTs }) => startTs > at - windowDays * DAY_MS).slice(0, REPORTS), [deployments, at, windowDays]);
  const spent = useFew(`${name} ${at}`, async (id, signal) => {
    const report = await getJson<Report>(apiUrl(`deployments/${encodeURIComponent(id)}/report`), signal);
    return report.slo?.find((state) => state.name === name)?.spentByDeployment ?? null;
  });
  useEffect(() => {
    for (const { id } of shown) spent.want(id);
  }, [shown, spent.want]);
  const columns = useMemo(() => columnsOf(spent.known, at), [spent.known, at]);
  return (
    <section class="slo-section">
      <h2>{text.byDeployment}</h2>
      <p class="chart-summary">{text.byDeploymentWhy}</p>
      {shown.length === 0 ? (
        <p class="muted">{text.noDeployments}</p>
      ) : (
        <DataTable label={text.byDeployment} columns={columns} rows={shown} rowKey={({ id }) => id} pathOf={({ id }) => pathOf('deployments', id)} search={search} />
      )}
    </section>
  );
}

function columnsOf(known: ReadonlyMap<string, Piece<number | null>>, at: number): Column<JudgedDeployment>[] {
  return [
    {
      key: 'deployment',
      title: text.deployment,
      cell: ({ id, serviceName, version }) => (
        <Link path={pathOf('deployments', id)} class="slo-name">
          <bdi>
            {serviceName} {version}
          </bdi>
        </Link>
      ),
    },
    { key: 'at', title: text.at, cell: ({ startTs }) => formatClock(startTs, new Date(at)), sortBy: ({ startTs }) => startTs },
    { key: 'verdict', title: text.verdict, cell: (row) => <VerdictChip verdict={row.verdict} score={row.score} running={isGoingOn(row, at)} /> },
    {
      key: 'spent',
      title: text.spentShare,
      numeric: true,
      cell: ({ id }) => <Spent piece={known.get(id)} />,
      sortBy: ({ id }) => known.get(id)?.answer ?? undefined,
    },
  ];
}

function Spent({ piece }: { piece: Piece<number | null> | undefined }) {
  if (!piece) return <span class="muted">{text.loading}</span>;
  if (piece.error !== undefined) return <span class="error-note">{piece.error}</span>;
  if (piece.answer == null) return <span class="muted">{text.notTold}</span>;
  return <span class={piece.answer > 0 ? 'slo-fast' : ''}>{formatShare(piece.answer)}</span>;
}
