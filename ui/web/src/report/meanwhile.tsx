/** What changed an entry operation in the same time, where the deployment of the page did not: others' findings. */
import { getDeployments, getReport } from '../api';
import type { Deployment, EntryChange, Finding, Report } from '../api/schema';
import { pathOf } from '../location';
import { useRequest } from '../request';
import { Link } from '../shell/link';
import { deploymentName, operationKey } from './names';
import { text } from './text';

/** How far around a deployment others are looked for, milliseconds, and how many of them are. */
const AROUND_MS = 3_600_000;
const LISTED_MAX = 100;
const LOOKED_AT_MAX = 4;

interface Other {
  deployment: Deployment;
  finding: Finding;
}

export function Meanwhile({ report, unexplained }: { report: Report; unexplained: EntryChange[] }) {
  const { deployment } = report;
  const entries = new Set(unexplained.map(({ entry }) => operationKey(entry)));
  const { answer: others = [] } = useRequest(deployment ? `${deployment.id} ${report.candidate.endTs}` : null, (signal) =>
    deployment ? othersAround(deployment, entries, signal) : Promise.resolve([]),
  );
  if (others.length === 0) return null;
  return (
    <div class="report-meanwhile">
      <p>{text.meanwhile}:</p>
      <ul>
        {others.map(({ deployment: other, finding }) => (
          <li key={other.id}>
            <Link path={pathOf('deployments', other.id)}>{deploymentName(other)}</Link>: {finding.summary}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Of the nearest that made something worse, those that one of the entry operations suffers from. One after another. */
async function othersAround({ id, startTs }: Deployment, entries: ReadonlySet<string>, signal: AbortSignal): Promise<Other[]> {
  const window = { endTs: String(startTs + AROUND_MS), lookback: String(2 * AROUND_MS), limit: String(LISTED_MAX) };
  const { body } = await getDeployments(window, signal);
  const near = body
    .filter((other) => other.id !== id && other.verdict === 'regressed')
    .sort((a, b) => Math.abs(a.startTs - startTs) - Math.abs(b.startTs - startTs));
  const others: Other[] = [];
  for (const deployment of near.slice(0, LOOKED_AT_MAX)) {
    const { findings } = await getReport(deployment.id, signal);
    const finding = findings.find(({ causedByDeployment, victims }) => causedByDeployment && victims.some((victim) => entries.has(operationKey(victim))));
    if (finding) others.push({ deployment, finding });
  }
  return others;
}
