/** Questions about one trace as a timeline shows it. */
import { apiUrl, getJson } from './http';
import type { RowSpans } from './schema';

export type { RowSpans };

export function traceViewUrl(traceId: string): string {
  return apiUrl(`traceView/${encodeURIComponent(traceId)}`);
}

/** Where a file is sent to, to be looked at; without a trace's identifier its first is. */
export function uploadUrl(traceId: string | null): string {
  return apiUrl('traceView', traceId === null ? {} : { traceId });
}

export function getRowSpans(traceId: string, spanId: string, signal: AbortSignal): Promise<RowSpans> {
  return getJson(apiUrl(`traceView/${encodeURIComponent(traceId)}/${encodeURIComponent(spanId)}`), signal);
}
