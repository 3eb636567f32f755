/** What a list of deployments is asked for, from the address, and which of them are shown. */
import type { Finding, JudgedDeployment } from '../api/schema';
import { isGoingOn, standingOf } from '../rollouts';
import { apiWindow, type TimeRange, timeRangeOf } from '../time-range';
import type { Spent } from './spent';

/** A week: most installations do not deploy every hour. */
export const LOOKBACK_DEFAULT_MS = 604_800_000;

const LIMIT_DEFAULT = 100;
/** As many as the server gives. */
export const LIMIT_MAX = 1000;

/** By how a deployment stands, by what was found, by what has no verdict. */
export const FILTERS = {
  byScore: ['fail', 'marginal', 'pass'],
  byFound: ['regressed', 'improved', 'unchanged'],
  byState: ['insufficient_data', 'running', 'pending'],
} as const;

export type VerdictFilter = (typeof FILTERS)[keyof typeof FILTERS][number];

const VERDICT_FILTERS: readonly VerdictFilter[] = Object.values(FILTERS).flat();

/** How it came to be known. */
export const SOURCES = ['declared', 'inferred'] as const;

/** The kind of one that brings an earlier version back, whatever its strategy. */
export const RETURN = 'return';

export interface Question {
  serviceName: string;
  environment: string;
  verdict: VerdictFilter | undefined;
  /** A strategy, or `RETURN`. */
  kind: string;
  source: (typeof SOURCES)[number] | undefined;
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
    kind: parameters.get('kind')?.trim() ?? '',
    source: SOURCES.find((source) => source === parameters.get('source')),
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

/** Of a list those that the question is about: what the server cannot be asked for. */
export function shownOf(deployments: JudgedDeployment[], { verdict, kind, source }: Pick<Question, 'verdict' | 'kind' | 'source'>, now: number): JudgedDeployment[] {
  return deployments.filter(
    (deployment) =>
      (verdict === undefined || stands(deployment, verdict, now)) &&
      (kind === '' || (kind === RETURN ? deployment.rollback : deployment.strategy === kind)) &&
      (source === undefined || deployment.inferred === (source === 'inferred')),
  );
}

function stands(deployment: JudgedDeployment, filter: VerdictFilter, now: number): boolean {
  const { verdict, score } = deployment;
  if (filter === 'running') return isGoingOn(deployment, now);
  if (filter === 'pending') return verdict == null && !isGoingOn(deployment, now);
  return verdict === filter || standingOf(verdict, score) === filter;
}

/** What was found of a deployment. */
export interface Findings {
  worst?: Finding | undefined;
  /** Of an error budget. */
  spent?: Spent | undefined;
  /** It could not be asked for. */
  failed?: boolean;
}

/** The worst of the findings of a deployment, which come worst first: one that it caused, if there is one. */
export function worstFinding(findings: readonly Finding[]): Finding | undefined {
  return findings.find(({ causedByDeployment }) => causedByDeployment) ?? findings[0];
}
