/** Questions of the search beside Zipkin's own. */
import type { Window } from '../time-range';
import { apiUrl, getJson } from './http';
import type { Deployment, JudgedDeployment } from './schema';

export function getDeployment(id: string, signal: AbortSignal): Promise<Deployment> {
  return getJson(apiUrl(`deployments/${encodeURIComponent(id)}`), signal);
}

/** More bands than these in a chart hide it. */
const BANDS_MAX = 30;

/** Those that began in the window, newest first. */
export function getDeploymentsIn({ startTs, endTs }: Window, signal: AbortSignal): Promise<JudgedDeployment[]> {
  const parameters = { endTs: String(endTs), lookback: String(endTs - startTs), limit: String(BANDS_MAX) };
  return getJson(apiUrl('deployments', parameters), signal);
}
