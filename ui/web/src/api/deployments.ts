/** Questions about deployments: lists, reports, comparisons, and what happens to them while somebody looks. */
import { type Answer, ApiError, apiUrl, getAnswer, getJson } from './http';
import type { Deployment, JudgedDeployment, Regression, Report, TraceDiff } from './schema';

/** Newest first; `parameters` are those of the API: `serviceName`, `environment`, `endTs`, `lookback`, `limit`. */
export function getDeployments(parameters: Record<string, string>, signal: AbortSignal): Promise<Answer<JudgedDeployment[]>> {
  return getAnswer(apiUrl('deployments', parameters), signal);
}

export function getDeployment(id: string, signal: AbortSignal): Promise<Deployment> {
  return getJson(deploymentUrl(id), signal);
}

function deploymentUrl(id: string): string {
  return apiUrl(`deployments/${encodeURIComponent(id)}`);
}

/** Where the report is, for who wants it as JSON. */
export function reportUrl(id: string): string {
  return `${deploymentUrl(id)}/report`;
}

/** Of a server that has too much to do just now, it is asked for again some times. */
export function getReport(id: string, signal: AbortSignal): Promise<Report> {
  return patiently(() => getJson<Report>(reportUrl(id), signal), signal);
}

/** How often something is asked that the server has no time for (503), and after how long again, milliseconds. */
const TRIES = 3;
const AGAIN_MS = 2000;

async function patiently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let left = TRIES - 1; ; left--) {
    try {
      return await ask();
    } catch (error) {
      if (left === 0 || signal.aborted || !(error instanceof ApiError) || error.status !== 503) throw error;
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }
}

/** Findings of the deployments that began in a window, worst first. Asked for again some times, as a report is. */
export function getRegressions(parameters: Record<string, string>, signal: AbortSignal): Promise<Answer<Regression[]>> {
  return patiently(() => getAnswer(apiUrl('regressions', parameters), signal), signal);
}

/** Two traces side by side. */
export function getTraceDiff(baseline: string, candidate: string, signal: AbortSignal): Promise<TraceDiff> {
  return getJson(apiUrl('traces/diff', { baseline, candidate }), signal);
}

/** The report of two populations, each a search as `/api/v2/traces` takes it. */
export function getComparison(baseline: URLSearchParams, candidate: URLSearchParams, signal: AbortSignal): Promise<Report> {
  const parameters = { baselineQuery: baseline.toString(), candidateQuery: candidate.toString() };
  return patiently(() => getJson<Report>(apiUrl('compare', parameters), signal), signal);
}

/** Where the server tells what happens to deployments, as server-sent events. */
export function deploymentEventsUrl(serviceName?: string): string {
  return apiUrl('deployments/events', serviceName === undefined ? {} : { serviceName });
}
