/** The table of deployments, by day. */
import { useEffect } from 'preact/hooks';

import type { Finding, JudgedDeployment } from '../api/schema';
import { formatChange, formatDay, formatDuration, formatTimeOfDay } from '../format';
import { pathOf } from '../location';
import { deploymentName, operationName, short } from '../report/names';
import { pointsOf } from '../report/sentence';
import { withTour } from '../report/tour-step';
import { isGoingOn, waveOf } from '../rollouts';
import { type Column, DataTable } from '../shell/data-table';
import { Link } from '../shell/link';
import { Seen } from '../shell/seen';
import { VerdictChip } from '../shell/verdict-chip';
import { SpentCell } from './spent-cell';
import { text } from './text';
import { type Worst, worstQuestion } from './worst';

/** Versions of so many characters together stand on one line. */
const ONE_LINE_MAX = 20;

interface Properties {
  deployments: JudgedDeployment[];
  worst: Worst;
  search: string;
}

export function DeploymentList({ deployments, worst, search }: Properties) {
  const byFound = /^-?(effect|slo)$/.test(new URLSearchParams(search).get('sort') ?? '');
  useEffect(() => {
    // Which of them come into sight is not known until all are.
    if (byFound) for (const deployment of deployments) worst.want(worstQuestion(deployment));
  }, [byFound, deployments, worst.want]);
  const reportPath = ({ id }: JudgedDeployment) => withTour(pathOf('deployments', id), search);
  const today = formatDay(Date.now());
  const dayOf = ({ startTs }: JudgedDeployment) => {
    const day = formatDay(startTs);
    return day === today ? text.today(day) : day;
  };
  return (
    <DataTable
      label={text.title}
      columns={columnsOf(worst, reportPath)}
      rows={deployments}
      rowKey={({ id }) => id}
      pathOf={reportPath}
      search={search}
      groupOf={dayOf}
    />
  );
}

function columnsOf(worst: Worst, reportPath: (row: JudgedDeployment) => string): Column<JudgedDeployment>[] {
  const { of, want } = worst;
  const findingOf = (row: JudgedDeployment) => of(row)?.worst;
  const waitingOf = (row: JudgedDeployment) => (of(row)?.failed ? text.unknown : of(row) ? '–' : text.waiting);
  return [
    {
      key: 'verdict',
      title: text.columns.verdict,
      cell: (row) => (
        <Link path={reportPath(row)} class="deployments-verdict">
          <VerdictChip verdict={row.verdict} score={row.score} running={isGoingOn(row, Date.now())} wave={waveOf(row, Date.now())} />
          <span class="visually-hidden">{text.report(deploymentName(row))}</span>
        </Link>
      ),
      sortBy: ({ score }) => score ?? undefined,
    },
    { key: 'service', title: text.columns.service, cell: ({ serviceName }) => <span class="deployments-name">{short(serviceName)}</span>, sortBy: ({ serviceName }) => serviceName },
    { key: 'version', title: text.columns.version, cell: (row) => <Versions row={row} />, sortBy: ({ version }) => version },
    { key: 'kind', title: text.columns.kind, cell: kindOf },
    { key: 'when', title: text.columns.when, cell: (row) => <When row={row} />, sortBy: ({ startTs }) => startTs },
    {
      key: 'origin',
      title: text.columns.origin,
      cell: (row) => (
        <Seen name={worstQuestion(row)} onSeen={want}>
          <Origin row={row} finding={findingOf(row)} waiting={waitingOf(row)} />
        </Seen>
      ),
    },
    {
      key: 'effect',
      title: text.columns.effect,
      cell: (row) => <Effect finding={findingOf(row)} waiting={waitingOf(row)} />,
      sortBy: (row) => findingOf(row)?.contribution,
    },
    { key: 'slo', title: text.columns.slo, cell: (row) => <SpentCell row={row} worst={worst} />, sortBy: (row) => of(row)?.spent?.share },
    { key: 'source', title: text.columns.source, cell: ({ inferred }) => (inferred ? <span title={text.inferredWhy}>{text.inferred}</span> : text.declared) },
  ];
}

function Versions({ row: { version, previousVersion } }: { row: JudgedDeployment }) {
  return (
    <span class={`deployments-name ${version.length + (previousVersion?.length ?? 0) <= ONE_LINE_MAX ? 'deployments-line' : ''}`}>
      {previousVersion && <span class="muted">{short(previousVersion)} → </span>}
      {short(version)}
    </span>
  );
}

function kindOf({ strategy, instances = [], environment, rollback, rolledBackTs, supersededBy }: JudgedDeployment): string {
  const words = [
    environment && short(environment),
    strategy && (text.strategies[strategy] ?? strategy),
    instances.length > 0 && text.instances(instances.length),
    rollback && text.rollback,
    rolledBackTs != null && text.rolledBack,
    supersededBy && text.superseded,
  ].filter((word): word is string => typeof word === 'string' && word !== '');
  return words.length > 0 ? words.join(', ') : '–';
}

function When({ row }: { row: JudgedDeployment }) {
  const { startTs, endTs } = row;
  const { switched, all } = waveOf(row, Date.now());
  const rest = endTs != null ? `(${formatDuration((endTs - startTs) * 1000)})` : isGoingOn(row, Date.now()) ? text.switched(switched, all) : '';
  return (
    <span class="numbers">
      {formatTimeOfDay(startTs)}
      {rest !== '' && <span class="deployments-interval">{rest}</span>}
    </span>
  );
}

function Origin({ row, finding, waiting }: { row: JudgedDeployment; finding: Finding | undefined; waiting: string }) {
  if (!finding) return <>{row.verdict === 'insufficient_data' ? text.needsMore : waiting}</>;
  return (
    <>
      <span class="deployments-name">{operationName(finding.origin)}</span>
      {!finding.causedByDeployment && <span class="deployments-other">{text.notThis}</span>}
    </>
  );
}

function Effect({ finding, waiting }: { finding: Finding | undefined; waiting: string }) {
  if (!finding) return <>{waiting}</>;
  if (finding.kind === 'errors') return <span class="numbers">{text.byErrors(pointsOf(finding.errorRateChange ?? 0))}</span>;
  return (
    <span class="numbers deployments-effect">
      {formatChange(finding.contribution)}
      <span class="deployments-interval">{text.interval(formatChange(finding.contributionLow), formatChange(finding.contributionHigh))}</span>
    </span>
  );
}
