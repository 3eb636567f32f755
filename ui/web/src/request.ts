/** One question at a time to the server: a newer one aborts the one before, whose late answer would be wrong. */
import { useEffect, useState } from 'preact/hooks';

import { ApiError } from './api';

/** Sooner than this a sign of waiting only flickers. */
const SLOW_MS = 150;

export interface Requested<T> {
  /** The last answer, even while the next is awaited or after it failed. */
  answer?: T;
  /** Why the last question has no answer. */
  error?: ApiError;
  loading: boolean;
  /** Loading for long enough to say so. */
  slow: boolean;
  /** Asks again. */
  retry: () => void;
}

type Outcome<T> = Omit<Requested<T>, 'retry'>;

/**
 * Asks whenever `key` changes; `null` asks nothing. `ask` may be a new function every time.
 */
export function useRequest<T>(key: string | null, ask: (signal: AbortSignal) => Promise<T>): Requested<T> {
  const [outcome, setOutcome] = useState<Outcome<T>>({ loading: key !== null, slow: false });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (key === null) {
      setOutcome({ loading: false, slow: false });
      return;
    }
    const controller = new AbortController();
    setOutcome((before) => ({ ...before, loading: true, slow: false }));
    const timer = setTimeout(() => setOutcome((before) => ({ ...before, slow: before.loading })), SLOW_MS);
    ask(controller.signal)
      .then((answer) => setOutcome({ answer, loading: false, slow: false }))
      .catch((error: unknown) => {
        if (controller.signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(0, String(error));
        setOutcome((before) => ({ ...before, error: known, loading: false, slow: false }));
      })
      .finally(() => clearTimeout(timer));
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [key, attempt]);
  return { ...outcome, retry: () => setAttempt((before) => before + 1) };
}
