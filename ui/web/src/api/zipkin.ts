/** Questions of Zipkin's API, in the shapes that it answers. Unset fields are absent; times are microseconds. */
import { apiUrl, getAnswer, getJson } from './http';

export interface Endpoint {
  serviceName?: string;
  ipv4?: string;
  ipv6?: string;
  port?: number;
}

export interface Annotation {
  timestamp: number;
  value: string;
}

export type Kind = 'CLIENT' | 'SERVER' | 'PRODUCER' | 'CONSUMER';

export interface Span {
  traceId: string;
  id: string;
  parentId?: string;
  kind?: Kind;
  name?: string;
  timestamp?: number;
  duration?: number;
  localEndpoint?: Endpoint;
  remoteEndpoint?: Endpoint;
  annotations?: Annotation[];
  tags?: Record<string, string>;
  debug?: boolean;
  shared?: boolean;
}

export interface ServiceSummary {
  serviceName: string;
  spanCount: number;
  versions: string[];
}

/** One trace of a list. */
export interface TraceSummary {
  traceId: string;
  root?: { serviceName?: string; spanName?: string };
  timestamp?: number;
  duration?: number;
  spanCount: number;
  errorCount: number;
  services: ServiceSummary[];
  /** Spans on which text was found that was searched for. */
  matchedSpans?: string[];
}

/** The answer to a search. */
export interface Found {
  traces: TraceSummary[];
  /** Why the server may not have looked at everything; `null` where it has. */
  missing: string | null;
  /** What the next page is asked with, as `after`; `null` where there is none, or the server has no pages. */
  next: string | null;
}

/** What the server tells the app about itself. */
export interface UiConfig {
  environment: string;
  queryLimit: number;
  /** Milliseconds. */
  defaultLookback: number;
  searchEnabled: boolean;
  logsUrl: string | null;
  supportUrl: string | null;
  /** Where a trace is posted to in order to be kept, and where it is seen then. */
  archivePostUrl?: string | null;
  archiveUrl?: string | null;
  /** The map; absent on servers that do not say. */
  dependency?: DependencyConfig;
}

export interface DependencyConfig {
  enabled: boolean;
  /** Shares of calls that fail from which a link is marked. */
  lowErrorRate: number;
  highErrorRate: number;
}

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
