/** Questions of Zipkin's API, in the shapes that it answers. Unset fields are absent; times are microseconds. */
import { apiUrl, getAnswer, getJson, type Written } from './http';
import type * as schema from './schema';
import type { Endpoint, Span } from './schema';

export type { Endpoint, Span };
export type ServiceSummary = schema.ServiceSummary;

/** One trace of a list. */
export type TraceSummary = Written<schema.TraceSummary>;

/** The answer to a search. */
export interface Found {
  traces: TraceSummary[];
  /** Why the server may not have looked at everything; `null` where it has. */
  missing: string | null;
  /** What the next page is asked with, as `after`; `null` where there is none, or the server has no pages. */
  next: string | null;
}

type AnsweredConfig = schema.paths['/zipkin/config.json']['get']['responses']['200']['content']['application/json'];

/** When links of the map are marked, and whether there is one. */
export type DependencyConfig = AnsweredConfig['dependency'];

type Unsaid = 'archivePostUrl' | 'archiveUrl' | 'dependency';

/** What the server tells the app about itself; what can be done without is absent until it has. */
export type UiConfig = Omit<AnsweredConfig, Unsaid> & Partial<Pick<AnsweredConfig, Unsaid>>;

export function getConfig(signal: AbortSignal): Promise<UiConfig> {
  return getJson(new URL('config.json', document.baseURI).href, signal);
}

export function getServices(signal: AbortSignal): Promise<string[]> {
  return getJson(apiUrl('services'), signal);
}

export function getSpanNames(serviceName: string, signal: AbortSignal): Promise<string[]> {
  return getJson(apiUrl('spans', { serviceName }), signal);
}

export function getRemoteServices(serviceName: string, signal: AbortSignal): Promise<string[]> {
  return getJson(apiUrl('remoteServices', { serviceName }), signal);
}

export function getAutocompleteKeys(signal: AbortSignal): Promise<string[]> {
  return getJson(apiUrl('autocompleteKeys'), signal);
}

export function getAutocompleteValues(key: string, signal: AbortSignal): Promise<string[]> {
  return getJson(apiUrl('autocompleteValues', { key }), signal);
}

export async function getTraceSummaries(parameters: URLSearchParams, signal: AbortSignal): Promise<Found> {
  const { body, missing, next } = await getAnswer<TraceSummary[]>(apiUrl('traceSummaries', parameters), signal);
  return { traces: body, missing, next };
}

/** Where the spans of a trace are. */
export function traceUrl(traceId: string): string {
  return apiUrl(`trace/${encodeURIComponent(traceId)}`);
}

export function getTrace(traceId: string, signal: AbortSignal): Promise<Span[]> {
  return getJson(traceUrl(traceId), signal);
}

/** Whole traces by their identifiers; those that are not there are left out. */
export function getTraces(traceIds: readonly string[], signal: AbortSignal): Promise<Span[][]> {
  if (traceIds.length === 0) return Promise.resolve([]);
  return getJson(apiUrl('traceMany', { traceIds: traceIds.join(',') }), signal);
}
