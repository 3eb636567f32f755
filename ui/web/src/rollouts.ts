/** What is known of deployments without their reports: how they stand, which are live, which go on, which made something worse. */
import type { Deployment, JudgedDeployment, Verdict } from './api/schema';
import type { Band } from './chart/bands';

/** A rollout whose end nobody tells is over after this time, as it is to the server that watches it. */
const UNTOLD_END_MS = 86_400_000;

/** What a deployment passes with, unless who asks says otherwise: `docs/gate.md`. From `MARGINAL_SCORE` it nearly does. */
export const PASSING_SCORE = 90;
export const MARGINAL_SCORE = 75;

/** How a deployment came out, in one word. */
export type Standing = 'fail' | 'marginal' | 'pass' | 'insufficient_data' | 'pending';

/** By the score, as the gate decides; what has none by what was found. Without enough data nothing passes. */
export function standingOf(verdict: Verdict | null | undefined, score: number | null | undefined): Standing {
  if (verdict == null) return 'pending';
  if (verdict === 'insufficient_data') return verdict;
  if (score == null) return verdict === 'regressed' ? 'fail' : 'pass';
  if (score >= PASSING_SCORE) return 'pass';
  return score >= MARGINAL_SCORE ? 'marginal' : 'fail';
}

/** How many of its instances run the new version, and of how many; all told ones where none is told ahead of its time. */
export function waveOf({ instances = [] }: Deployment, at: number): { switched: number; all: number } {
  return { switched: instances.filter(({ switchTs }) => switchTs <= at).length, all: instances.length };
}

/** Whether its version is what its service runs: neither taken back nor replaced. */
export function isLive(deployment: Deployment): boolean {
  return deployment.supersededBy == null && deployment.rolledBackTs == null;
}

/** Whether instances still switch, at a moment. */
export function isGoingOn(deployment: Deployment, at: number): boolean {
  const { startTs, endTs } = deployment;
  if (startTs > at || !isLive(deployment)) return false;
  return endTs == null ? at - startTs < UNTOLD_END_MS : at < endTs;
}

/** Live ones that made something worse. */
export function liveRegressions(deployments: readonly JudgedDeployment[]): JudgedDeployment[] {
  return deployments.filter((deployment) => deployment.verdict === 'regressed' && isLive(deployment));
}

/** The newest of each service; deployments come newest first. */
export function newestByService(deployments: readonly JudgedDeployment[]): Map<string, JudgedDeployment> {
  const newest = new Map<string, JudgedDeployment>();
  for (const deployment of deployments) {
    if (!newest.has(deployment.serviceName)) newest.set(deployment.serviceName, deployment);
  }
  return newest;
}

/** Deployments as bands of a chart, at a moment. */
export function bandsOf(deployments: readonly JudgedDeployment[], at: number): Band[] {
  return deployments.map((deployment) => ({
    startTs: deployment.startTs,
    endTs: deployment.endTs ?? (isGoingOn(deployment, at) ? null : deployment.startTs),
    label: `${deployment.serviceName} ${deployment.version}`,
    failed: deployment.verdict === 'regressed',
  }));
}
