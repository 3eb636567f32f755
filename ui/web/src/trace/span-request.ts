/** The details of one row: asked for when they are looked at, never with the trace. */
import type { RowSpans } from '../api';
import { type Requested, useRequest } from '../request';

/** What is known of a row; of a file's also what is not Zipkin's, as it stands there. */
export interface Details extends RowSpans {
  others?: string[];
}

/** Where details come from: the server's store, or a file. */
export interface SpanSource {
  /** Tells traces apart. */
  key: string;
  /** On the server, where more of its kind are. */
  stored: boolean;
  ask: (spanId: string, signal: AbortSignal) => Promise<Details>;
}

export function useRowSpans(source: SpanSource, spanId: string): Requested<Details> {
  return useRequest(`${source.key} ${spanId}`, (signal) => source.ask(spanId, signal));
}
