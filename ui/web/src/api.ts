/** Questions to the server, in the shapes that it answers. Unset fields are absent; times are microseconds. */

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
}

/** The server said no, or said nothing. */
export class ApiError extends Error {
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** A server's message longer than this is a page of something else. */
const MESSAGE_CHARACTERS_MAX = 500;

/** The address of a part of the API, relative to the page's base so that proxies need no rules of their own. */
export function apiUrl(path: string): string {
  return new URL(`api/v2/${path}`, document.baseURI).href;
}

async function getJson<T>(url: string, signal: AbortSignal): Promise<T> {
  return readJson(await get(url, signal), signal);
}

/** An answer with a good status. */
async function get(url: string, signal: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { signal, headers: { accept: 'application/json' } });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError(0, 'The server does not answer.');
  }
  if (!response.ok) {
    const text = (await response.text()).trim().slice(0, MESSAGE_CHARACTERS_MAX);
    throw new ApiError(response.status, text || response.statusText || `status ${response.status}`);
  }
  return response;
}

async function readJson<T>(response: Response, signal: AbortSignal): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError(response.status, 'The answer is not JSON: is something between here and the server?');
  }
}

export function getConfig(signal: AbortSignal): Promise<UiConfig> {
  return getJson(new URL('config.json', document.baseURI).href, signal);
}

export function getServices(signal: AbortSignal): Promise<string[]> {
  return getJson(apiUrl('services'), signal);
}

export function getSpanNames(serviceName: string, signal: AbortSignal): Promise<string[]> {
  return getJson(apiUrl(`spans?${new URLSearchParams({ serviceName })}`), signal);
}

export function getRemoteServices(serviceName: string, signal: AbortSignal): Promise<string[]> {
  return getJson(apiUrl(`remoteServices?${new URLSearchParams({ serviceName })}`), signal);
}

export function getAutocompleteKeys(signal: AbortSignal): Promise<string[]> {
  return getJson(apiUrl('autocompleteKeys'), signal);
}

export async function getTraceSummaries(parameters: URLSearchParams, signal: AbortSignal): Promise<Found> {
  const response = await get(apiUrl(`traceSummaries?${parameters}`), signal);
  const missing = missingOf(response.headers.get('tracehound-completeness'));
  return { traces: await readJson(response, signal), missing };
}

/** The reason in `partial; reason="…"`. */
export function missingOf(completeness: string | null): string | null {
  if (!completeness?.startsWith('partial')) return null;
  return /reason="(.*)"/.exec(completeness)?.[1] || 'the server does not say why.';
}

/** Where the spans of a trace are. */
export function traceUrl(traceId: string): string {
  return apiUrl(`trace/${encodeURIComponent(traceId)}`);
}

export function getTrace(traceId: string, signal: AbortSignal): Promise<Span[]> {
  return getJson(traceUrl(traceId), signal);
}
