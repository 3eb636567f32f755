/** How long an operation usually takes is asked of the server's own figures: by operation and version, until the trace. */
import type { Answer } from '../api';
import type { LatencyChart } from '../api/schema';
import { getLatency } from '../api/services';
import { at } from './groups';
import { nameOf, serviceOf } from './names';
import type { TraceView } from './view';

/** So much before the end of the trace is usual. Milliseconds. */
const LOOKBACK = 6 * 3_600_000;

/** The server answers by whole minutes. */
const MINUTE = 60_000;

/** The server takes no longer ones. */
const NAME_MAX = 256;

const KINDS = [undefined, 'CLIENT', 'SERVER', 'PRODUCER', 'CONSUMER'];

export interface UsualQuestion {
  /** Equal where the same is asked. */
  key: string;
  ask: (signal: AbortSignal) => Promise<Answer<LatencyChart>>;
}

/** About the operation of a row; `null` where nothing can be asked: nobody said which it is, or when it was. */
export function usualQuestion(view: TraceView, row: number): UsualQuestion | null {
  const { rows } = view;
  const isNamed = view.services[at(rows.service, row)] !== undefined && Boolean(view.names[at(rows.name, row)]);
  const [serviceName, spanName] = [serviceOf(view, row), nameOf(view, row)];
  if (!isNamed || view.start <= 0 || serviceName.length > NAME_MAX || spanName.length > NAME_MAX) return null;
  const spanKind = KINDS[at(rows.kind, row)];
  const endTs = Math.ceil((view.start + view.duration) / 1000 / MINUTE) * MINUTE;
  const question = { serviceName, spanName, ...(spanKind && { spanKind }), groupBy: 'version', step: LOOKBACK } as const;
  return {
    key: `usual ${serviceName}\n${spanName}\n${spanKind}\n${endTs}`,
    ask: (signal) => getLatency(question, { endTs: String(endTs), lookback: String(LOOKBACK) }, signal),
  };
}
