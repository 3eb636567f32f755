/** What a list of deployments is asked for, from the address, and which of them are shown. */
import type { JudgedDeployment, Regression, Verdict } from '../api/schema';
import { isGoingOn } from '../rollouts';
import { apiWindow, type TimeRange, timeRangeOf } from '../time-range';

/** A week: most installations do not deploy every hour. */
export const LOOKBACK_DEFAULT_MS = 604_800_000;

const LIMIT_DEFAULT = 100;
/** As many as the server gives. */
export const LIMIT_MAX = 1000;

/** Findings that are asked for, to be told beside their deployments. */
const FINDINGS_MAX = 200;

export type VerdictFilter = Verdict | 'running' | 'pending';

export const VERDICT_FILTERS: VerdictFilter[] = ['regressed', 'improved', 'unchanged', 'insufficient_data', 'running', 'pending'];

export interface Question {
  serviceName: string;
  environment: string;
  verdict: VerdictFilter | undefined;
  /** Without `lookback=all` in the address. */
  range: TimeRange | undefined;
  limit: number;
}

export function questionOf(search: string): Question {
  const parameters = new URLSearchParams(search);
  const limit = Number(parameters.get('limit') ?? LIMIT_DEFAULT);
  return {
    serviceName: parameters.get('serviceName')?.trim() ?? '',
    environment: parameters.get('environment')?.trim() ?? '',
    verdict: VERDICT_FILTERS.find((filter) => filter === parameters.get('verdict')),
    range: parameters.get('lookback') === 'all' ? undefined : timeRangeOf(search, LOOKBACK_DEFAULT_MS),
    limit: Number.isInteger(limit) && limit > 0 ? Math.min(limit, LIMIT_MAX) : LIMIT_DEFAULT,
  };
}

/** As `/api/v2/deployments` takes it. */
export function listParameters({ serviceName, environment, range, limit }: Question, now: number): Record<string, string> {
  return {
    ...(serviceName !== '' && { serviceName: serviceName.toLowerCase() }),
    ...(environment !== '' && { environment }),
    ...(range && apiWindow(range, now)),
    limit: String(limit),
  };
}

/** As `/api/v2/regressions` takes it: the same window. */
export function findingParameters({ environment, range }: Question, now: number): Record<string, string> {
  return {
    ...(environment !== '' && { environment }),
    ...(range ? apiWindow(range, now) : { endTs: String(now), lookback: String(now) }),
    limit: String(FINDINGS_MAX),
  };
}

/** Those with a verdict, or in a state, of a list; all without one. */
export function shownOf(deployments: JudgedDeployment[], filter: VerdictFilter | undefined, now: number): JudgedDeployment[] {
  if (!filter) return deployments;
  return deployments.filter((deployment) => {
    if (filter === 'running') return isGoingOn(deployment, now);
    if (filter === 'pending') return deployment.verdict == null && !isGoingOn(deployment, now);
    return deployment.verdict === filter;
  });
}

/** The worst finding of each deployment: first those that it caused. The list is worst first. */
export function worstFindings(findings: readonly Regression[]): Map<string, Regression> {
  const worst = new Map<string, Regression>();
  for (const finding of findings) {
    const before = worst.get(finding.deployment.id);
    if (!before || (finding.causedByDeployment && !before.causedByDeployment)) worst.set(finding.deployment.id, finding);
  }
  return worst;
}
