/**
 * What is searched for: between the address (Zipkin's UI's parameter names, and `q`), the form, and the API.
 *
 * More lenient than Zipkin's UI: what an address leaves out has its default, `lookback` may be a bare number of
 * milliseconds, and the `all` of old links means any.
 */
import type { UiConfig } from '../api';
import { parseDuration } from '../format';
import type { Settings } from '../settings';
import { LOOKBACK_MS, type NamedLookback, type TimeRange, type Window, windowOf as windowOfRange } from '../time-range';
import { text } from './text';

export type Sort = Settings['order'];

export const SORTS: Sort[] = ['newest', 'slowest', 'errors'];

/** `range` is from `startTs` to `endTs`, `millis` is that long before `endTs`, the others are as they read. */
export type Lookback = NamedLookback | 'range' | 'millis';

export interface SearchQuery {
  serviceName: string;
  spanName: string;
  remoteServiceName: string;
  /** Of the service, by the tag that tells versions. */
  version: string;
  annotationQuery: string;
  /** Text, in the grammar of the server's `q`. */
  q: string;
  /** As typed: `10ms`. */
  minDuration: string;
  maxDuration: string;
  lookback: Lookback;
  /** Milliseconds; only with the lookback `millis`. */
  millis: number;
  /** Milliseconds since the epoch; only with the lookback `range`. */
  startTs: number | null;
  /** Milliseconds since the epoch; `null` is now, whenever that is. */
  endTs: number | null;
  limit: number;
  sort: Sort;
}

export type TextField =
  | 'serviceName'
  | 'spanName'
  | 'remoteServiceName'
  | 'version'
  | 'annotationQuery'
  | 'q'
  | 'minDuration'
  | 'maxDuration';

export const TEXT_FIELDS: TextField[] = [
  'serviceName',
  'spanName',
  'remoteServiceName',
  'version',
  'annotationQuery',
  'q',
  'minDuration',
  'maxDuration',
];

/** Every parameter of an address that is no tag. */
const PARAMETERS = new Set<string>([
  ...TEXT_FIELDS,
  ...['lookback', 'millis', 'startTs', 'endTs', 'limit', 'sort', 'deployment'],
  ...['inService', 'inVersion', 'failed', 'selected', 'view'],
]);

/** What is wrong with a query, by field. */
export type FieldErrors = Partial<Record<keyof SearchQuery, string>>;

/** More rows than this would not be read, and the server would load that many traces. */
export const LIMIT_MAX = 10_000;

/** The query without conditions, as the server is configured and the user likes the order. */
export function defaultQuery(config: UiConfig, order: Sort = 'newest'): SearchQuery {
  const named = Object.entries(LOOKBACK_MS).find(([, ms]) => ms === config.defaultLookback);
  return {
    serviceName: '',
    spanName: '',
    remoteServiceName: '',
    version: '',
    annotationQuery: '',
    q: '',
    minDuration: '',
    maxDuration: '',
    lookback: named ? (named[0] as Lookback) : 'millis',
    millis: config.defaultLookback,
    startTs: null,
    endTs: null,
    limit: config.queryLimit > 0 ? config.queryLimit : 10,
    sort: order,
  };
}

/** Whether an address has parameters that may be tags, which only the server's list tells. */
export function mayHaveTags(search: string): boolean {
  return [...new URLSearchParams(search).keys()].some((name) => !PARAMETERS.has(name));
}

/** Reads an address's query. `tagKeys` are parameters of their own in Zipkin's links: conditions on tags. */
export function queryOf(
  search: string,
  config: UiConfig,
  tagKeys: readonly string[] = [],
  order: Sort = 'newest',
): SearchQuery {
  const parameters = new URLSearchParams(search);
  const query = defaultQuery(config, order);
  for (const field of TEXT_FIELDS) {
    const value = parameters.get(field)?.trim() ?? '';
    query[field] = value === 'all' && field !== 'annotationQuery' && field !== 'q' ? '' : value;
  }
  const tags = tagKeys.flatMap((key) => {
    const value = PARAMETERS.has(key) ? null : parameters.get(key);
    return value ? [`${key}=${value}`] : [];
  });
  query.annotationQuery = [query.annotationQuery, ...tags].filter((term) => term !== '').join(' and ');
  readWindow(parameters, query);
  query.limit = positive(parameters.get('limit')) ?? query.limit;
  const sort = parameters.get('sort') as Sort;
  if (SORTS.includes(sort)) query.sort = sort;
  return query;
}

function readWindow(parameters: URLSearchParams, query: SearchQuery): void {
  const lookback = parameters.get('lookback') ?? '';
  query.endTs = positive(parameters.get('endTs'));
  query.startTs = positive(parameters.get('startTs'));
  if (lookback in LOOKBACK_MS) {
    query.lookback = lookback as Lookback;
  } else if (lookback === 'range' && query.startTs !== null) {
    query.lookback = 'range';
  } else if (lookback === 'millis' || positive(lookback)) {
    query.lookback = 'millis';
    query.millis = positive(lookback) ?? positive(parameters.get('millis')) ?? query.millis;
  }
  if (query.lookback !== 'range') query.startTs = null;
}

function positive(text: string | null): number | null {
  if (!text || !/^\d{1,16}$/.test(text)) return null;
  const value = Number(text);
  return value > 0 && Number.isSafeInteger(value) ? value : null;
}

/** The address of a query, without what is the default anyway. It is `''` for the default query. */
export function addressOf(query: SearchQuery, config: UiConfig, order: Sort = 'newest'): string {
  const defaults = defaultQuery(config, order);
  const parameters = new URLSearchParams();
  for (const field of TEXT_FIELDS) {
    if (query[field] !== '') parameters.set(field, query[field]);
  }
  const { lookback, limit, sort, endTs, startTs } = query;
  if (lookback !== defaults.lookback || lookback === 'millis') parameters.set('lookback', lookback);
  if (lookback === 'millis') parameters.set('millis', String(query.millis));
  if (lookback === 'range' && startTs !== null) parameters.set('startTs', String(startTs));
  if (endTs !== null) parameters.set('endTs', String(endTs));
  if (limit !== defaults.limit) parameters.set('limit', String(limit));
  if (sort !== defaults.sort) parameters.set('sort', sort);
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

/** What keeps a query from being asked. Empty where nothing does. */
export function errorsOf(query: SearchQuery): FieldErrors {
  const errors: FieldErrors = {};
  for (const field of ['minDuration', 'maxDuration'] as const) {
    if (query[field] !== '' && parseDuration(query[field]) === null) {
      errors[field] = text.noDuration;
    }
  }
  const [min, max] = [parseDuration(query.minDuration), parseDuration(query.maxDuration)];
  if (min !== null && max !== null && max < min) errors.maxDuration = text.shorterThanMinimum;
  if (!(query.limit >= 1 && query.limit <= LIMIT_MAX)) errors.limit = text.limitBetween(LIMIT_MAX);
  if (query.lookback === 'range') {
    if (query.startTs === null) errors.startTs = text.noBegin;
    else if (query.endTs !== null && query.endTs <= query.startTs) errors.endTs = text.endsBefore;
  }
  if (query.lookback === 'millis' && !(query.millis >= 1)) errors.millis = text.noMillis;
  return errors;
}

/** The parameters of `GET /api/v2/traceSummaries`. `versionTag` is the tag that tells the version. */
export function apiParameters(query: SearchQuery, nowMs: number, versionTag = 'version'): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const field of ['serviceName', 'spanName', 'remoteServiceName', 'q'] as const) {
    if (query[field] !== '') parameters.set(field, query[field]);
  }
  const terms = termsOf(query.annotationQuery);
  if (query.version !== '') terms.push(`${versionTag}=${query.version}`);
  if (terms.length > 0) parameters.set('annotationQuery', terms.join(AND));
  const [min, max] = [parseDuration(query.minDuration), parseDuration(query.maxDuration)];
  // The server knows no maximum alone. Every duration is at least a microsecond, so this minimum says nothing.
  if (min !== null || max !== null) parameters.set('minDuration', String(min ?? 1));
  if (max !== null) parameters.set('maxDuration', String(max));
  const { startTs, endTs } = windowOf(query, nowMs);
  parameters.set('endTs', String(endTs));
  parameters.set('lookback', String(endTs - startTs));
  parameters.set('limit', String(query.limit));
  parameters.set('sort', query.sort);
  return parameters;
}

const AND = ' and ';

/** The conditions on tags and annotations, one by one. */
export function termsOf(annotationQuery: string): string[] {
  return annotationQuery
    .split(AND)
    .map((term) => term.trim())
    .filter((term) => term !== '');
}

/** How far back a query looks, and until when. */
export function rangeOf(query: SearchQuery, nowMs: number): TimeRange {
  const { lookback, millis, startTs, endTs } = query;
  if (lookback === 'range') return { lookback: Math.max(1, (endTs ?? nowMs) - (startTs ?? 0)), endTs };
  return { lookback: lookback === 'millis' ? millis : LOOKBACK_MS[lookback], endTs };
}

/** The window of a query, in milliseconds since the epoch. */
export function windowOf(query: SearchQuery, nowMs: number): Window {
  return windowOfRange(rangeOf(query, nowMs), nowMs);
}

/** The query over another range: with its name where it has one. */
export function withRange(query: SearchQuery, range: TimeRange): SearchQuery {
  const named = Object.entries(LOOKBACK_MS).find(([, ms]) => ms === range.lookback);
  const lookback = named ? (named[0] as Lookback) : 'millis';
  return { ...query, lookback, millis: range.lookback, startTs: null, endTs: range.endTs };
}

/** The same query over a week that ends now. */
export function widened(query: SearchQuery): SearchQuery {
  return { ...query, lookback: '7d', startTs: null, endTs: null };
}

/**
 * The address that finds the same whenever and wherever it is opened: the end, the limit and the order are in it, which
 * otherwise are now, the server's and the user's own.
 */
export function absoluteAddress(query: SearchQuery, nowMs: number): string {
  const parameters = new URLSearchParams();
  for (const field of TEXT_FIELDS) {
    if (query[field] !== '') parameters.set(field, query[field]);
  }
  parameters.set('lookback', query.lookback);
  if (query.lookback === 'millis') parameters.set('millis', String(query.millis));
  if (query.lookback === 'range') parameters.set('startTs', String(query.startTs));
  parameters.set('endTs', String(query.endTs ?? nowMs));
  parameters.set('limit', String(query.limit));
  parameters.set('sort', query.sort);
  return `?${parameters}`;
}

/** True if a query leaves out traces by anything but time. */
export function hasConditions(query: SearchQuery): boolean {
  return TEXT_FIELDS.some((field) => query[field] !== '');
}
