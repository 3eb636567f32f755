/** Questions about services, their operations over time, and who calls whom. Durations are microseconds. */
import { apiUrl, getAnswer, type Answer, type Written } from './http';
import type * as schema from './schema';
import type { JudgedDeployment, LatencyChart, OperationList } from './schema';

/** A window as the API asks for it, milliseconds. */
export interface ApiWindow {
  endTs: string;
  lookback: string;
}

export interface LatencyQuestion {
  serviceName: string;
  spanName?: string;
  spanKind?: string;
  /** Milliseconds, whole minutes. */
  step?: number;
  /** A series a version. */
  groupBy?: 'version';
  /** With durations in buckets; not of versions. */
  histogram?: boolean;
}

/** Who calls whom, and how long calls took. Errors and durations are absent where there are none. */
export type DependencyLink = Written<schema.DependencyLink>;

/** Rows of operations that a question may have at most. */
export const OPERATIONS_MAX = 1000;

/** Operations of a service, or of all. */
export function getOperations(window: ApiWindow, serviceName: string | null, signal: AbortSignal): Promise<Answer<OperationList>> {
  const parameters = { ...window, limit: String(OPERATIONS_MAX), ...(serviceName !== null && { serviceName }) };
  return getAnswer(apiUrl('operations', parameters), signal);
}

/** Rate, errors and durations over time. */
export function getLatency(question: LatencyQuestion, window: ApiWindow, signal: AbortSignal): Promise<Answer<LatencyChart>> {
  const { step, histogram, ...asked } = question;
  const parameters = { ...asked, ...window, ...(histogram && { histogram: 'true' }), ...(step !== undefined && { step: String(step) }) };
  return getAnswer(apiUrl('latency', parameters), signal);
}

/** Who calls whom in a window. */
export function getDependencies(window: ApiWindow, signal: AbortSignal): Promise<Answer<DependencyLink[]>> {
  return getAnswer(apiUrl('dependencies', { ...window, latency: 'true' }), signal);
}

/** Deployments that began before the end of a window, the newest first; of one service, or of all. */
export function getDeploymentsUntil(endTs: number, serviceName: string | null, signal: AbortSignal): Promise<Answer<JudgedDeployment[]>> {
  const parameters = { endTs: String(endTs), lookback: String(endTs), limit: '1000', ...(serviceName !== null && { serviceName }) };
  return getAnswer(apiUrl('deployments', parameters), signal);
}
