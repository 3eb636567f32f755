/** A search and the pages after the first one, which are added to what is there. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { ApiError, type Found, getTraceSummaries, type TraceSummary } from '../api';
import { leftAt, wasStepped } from '../location';
import { type Requested, useRequest } from '../request';

/** The first page, and what it was asked with: the next ones are of the same window. */
export interface FirstPage extends Found {
  parameters: URLSearchParams;
  /** Milliseconds since the epoch. */
  askedAt: number;
}

export interface Pages {
  first: Requested<FirstPage>;
  /** Of all pages, each once. */
  traces: TraceSummary[];
  /** Whether the server has more. */
  more: boolean;
  loadMore: () => void;
  loadingMore: boolean;
  /** Why the next page is not there. */
  moreError?: ApiError;
}

interface Further {
  of?: FirstPage;
  traces: TraceSummary[];
  next: string | null;
  loading: boolean;
  error?: ApiError;
}

/** What was found last, for who comes back to it, with its further pages. */
interface Left {
  key: string;
  answer: FirstPage;
  further: Further;
}

let left: Left | null = null;

const NOTHING: Further = { traces: [], next: null, loading: false };

/** `key` as for {@link useRequest}; `ask` gives the parameters of the first page. */
export function usePages(key: string | null, ask: (signal: AbortSignal) => Promise<URLSearchParams>): Pages {
  // Stepping back finds the list as it was left; any other way to it asks anew.
  const [before, setBefore] = useState<Left | null>(() => (wasStepped() ? left : null));
  const found = before !== null && before.key === key ? before : null;
  useEffect(() => {
    if (before !== null && key !== null && before.key !== key) setBefore(null);
  }, [before, key]);
  const asked = useRequest<FirstPage>(found ? null : key, async (signal) => {
    const askedAt = Date.now();
    const parameters = await ask(signal);
    return { ...(await getTraceSummaries(parameters, signal)), parameters, askedAt };
  });
  const first = found ? { ...asked, answer: found.answer, retry: () => setBefore(null) } : asked;
  const [further, setFurther] = useState<Further>(found?.further ?? NOTHING);
  const controller = useRef<AbortController>(null);
  const { answer } = first;
  useLeaving(key, answer, further, found);
  useEffect(() => () => controller.current?.abort(), [answer]);
  // Pages of an answer that is not there any more are forgotten.
  const { traces, next, loading, error } =
    answer && further.of === answer ? further : { ...NOTHING, next: answer?.next ?? null };
  const loadMore = () => {
    if (!answer || next === null || loading) return;
    const { signal } = (controller.current = new AbortController());
    setFurther({ of: answer, traces, next, loading: true });
    const parameters = new URLSearchParams(answer.parameters);
    parameters.set('after', next);
    getTraceSummaries(parameters, signal)
      .then((found) => {
        if (signal.aborted) return;
        setFurther({ of: answer, traces: [...traces, ...found.traces], next: found.next, loading: false });
      })
      .catch((failure: unknown) => {
        if (signal.aborted) return;
        const known = failure instanceof ApiError ? failure : new ApiError(0, String(failure));
        setFurther({ of: answer, traces, next, loading: false, error: known });
      });
  };
  return {
    first,
    traces: distinct([...(answer?.traces ?? []), ...traces]),
    more: next !== null,
    loadMore,
    loadingMore: loading,
    ...(error && { moreError: error }),
  };
}

/** Keeps what is shown for who comes back, and puts who came back where they were. */
function useLeaving(key: string | null, answer: FirstPage | undefined, further: Further, found: Left | null): void {
  useEffect(() => {
    if (found) window.scrollTo(0, leftAt());
  }, []);
  useEffect(() => {
    if (key !== null && answer) left = { key, answer, further };
  }, [key, answer, further]);
}

/** A trace that grew between two pages is on both: the later knows more of it. */
export function distinct(traces: readonly TraceSummary[]): TraceSummary[] {
  return [...new Map(traces.map((trace) => [trace.traceId, trace])).values()];
}
