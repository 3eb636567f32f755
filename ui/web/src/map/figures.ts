/** What the map says of a service and of a link, and how it compares. Durations are microseconds. */
import type { JudgedDeployment } from '../api/schema';
import type { DependencyLink } from '../api/services';
import { isGoingOn, isLive } from '../rollouts';
import type { LiveVersion, ServiceFigures, ServiceSteps } from '../services/figures';

/** What is compared: nothing, the window with the one before, a version with the one it replaces. */
export type Comparison = 'none' | 'before' | 'version';

export interface NodeFigures {
  /** Requests a second; calls of it by others where it reports nothing itself. */
  rate: number;
  /** Share that failed. */
  errorShare?: number | undefined;
  p95?: number | undefined;
  versions: readonly LiveVersion[];
  /** It reports spans itself. */
  reports: boolean;
  /** Instances switch to another version. */
  rolling: boolean;
  /** A version that made something worse is live. */
  regressed: boolean;
  change?: Delta | undefined;
}

export interface Delta {
  /** p95 now minus p95 then. */
  difference: number;
  /** Of p95 then. */
  relative: number;
}

/** Smaller changes have no colour: most are chance. */
export const NOTABLE = 0.1;

export interface NodeSources {
  figures: ServiceFigures | undefined;
  steps: ServiceSteps | undefined;
  /** Of the window before. */
  before: ServiceSteps | undefined;
  /** Calls of it by others. */
  incoming: readonly DependencyLink[];
  deployments: readonly JudgedDeployment[];
}

export function nodeFigures({ figures, steps, before, incoming, deployments }: NodeSources, window: { startTs: number; endTs: number }, comparison: Comparison): NodeFigures {
  const reports = figures !== undefined && figures.count > 0;
  const calls = incoming.reduce((sum, { callCount }) => sum + callCount, 0);
  const errors = incoming.reduce((sum, { errorCount = 0 }) => sum + errorCount, 0);
  const p95 = figures?.p95 ?? steps?.percentiles?.p95 ?? (incoming.length === 1 ? incoming[0]?.p95 : undefined);
  const live = deployments.filter(isLive);
  return {
    rate: reports ? figures.rate : calls / Math.max(1, (window.endTs - window.startTs) / 1000),
    errorShare: reports ? figures.errors / figures.count : calls > 0 ? errors / calls : undefined,
    p95,
    versions: steps?.live ?? [],
    reports,
    rolling: deployments.some((deployment) => isGoingOn(deployment, window.endTs)),
    regressed: live.some(({ verdict }) => verdict === 'regressed'),
    change: comparison === 'before' ? deltaOf(before?.percentiles?.p95, p95) : comparison === 'version' ? versionDelta(steps, live[0]) : undefined,
  };
}

/** A p95 against an earlier one; nothing where one is missing. */
export function deltaOf(then: number | undefined, now: number | undefined): Delta | undefined {
  if (then === undefined || now === undefined || then === 0) return undefined;
  return { difference: now - then, relative: now / then - 1 };
}

/** The deployed version against the one that it replaced, where both had requests in the window. */
function versionDelta(steps: ServiceSteps | undefined, deployment: JudgedDeployment | undefined): Delta | undefined {
  const p95 = (version: string | null | undefined) => steps?.byVersion.find((known) => known.version === version)?.p95;
  return deployment ? deltaOf(p95(deployment.previousVersion), p95(deployment.version)) : undefined;
}

export type Tone = 'worse' | 'better' | 'same';

export function toneOf(change: Delta | undefined): Tone {
  if (!change || Math.abs(change.relative) < NOTABLE) return 'same';
  return change.difference > 0 ? 'worse' : 'better';
}
