/** The address of a search, relative to the base, by the names that Zipkin's UI uses. */
import type { Window } from '../time-range';

export interface TraceSearch {
  serviceName?: string;
  remoteServiceName?: string;
  spanName?: string;
  /** Microseconds. */
  minDuration?: number;
  maxDuration?: number;
  sort?: 'slowest' | 'errors';
}

export function searchPath({ minDuration, maxDuration, ...names }: TraceSearch, { startTs, endTs }: Window): string {
  const parameters = new URLSearchParams({
    ...names,
    ...(minDuration !== undefined && { minDuration: `${Math.round(minDuration)}us` }),
    ...(maxDuration !== undefined && { maxDuration: `${Math.round(maxDuration)}us` }),
    lookback: 'millis',
    millis: String(Math.round(endTs - startTs)),
    endTs: String(Math.round(endTs)),
  });
  return `?${parameters}`;
}
