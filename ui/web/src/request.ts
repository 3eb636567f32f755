/** One question at a time to the server: a newer one aborts the one before, whose late answer would be wrong. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { ANSWERED, ApiError } from './api';

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
  /** The user did not want to wait for the answer. */
  cancelled?: boolean;
  /** Asks again. */
  retry: () => void;
  /** Waits for no answer; the last one stays. */
  cancel: () => void;
}

type Outcome<T> = Omit<Requested<T>, 'retry' | 'cancel'>;

/**
 * Asks whenever `key` changes; `null` asks nothing. `ask` may be a new function every time.
 */
export function useRequest<T>(key: string | null, ask: (signal: AbortSignal) => Promise<T>): Requested<T> {
  const [outcome, setOutcome] = useState<Outcome<T>>({ loading: key !== null, slow: false });
  const [attempt, setAttempt] = useState(0);
  const retry = () => setAttempt((before) => before + 1);
  const controller = useRef<AbortController>(null);
  const cancel = () => {
    controller.current?.abort();
    setOutcome((before) => ({ ...before, loading: false, slow: false, cancelled: before.loading }));
  };
  useEffect(() => {
    if (key === null) {
      setOutcome({ loading: false, slow: false });
      return;
    }
    const { signal } = (controller.current = new AbortController());
    setOutcome((before) => ({ ...before, loading: true, slow: false, cancelled: false }));
    const timer = setTimeout(() => setOutcome((before) => ({ ...before, slow: before.loading })), SLOW_MS);
    ask(signal)
      .then((answer) => signal.aborted || setOutcome({ answer, loading: false, slow: false }))
      .catch((error: unknown) => {
        if (signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(0, String(error));
        setOutcome((before) => ({ ...before, error: known, loading: false, slow: false }));
      })
      .finally(() => clearTimeout(timer));
    return () => {
      clearTimeout(timer);
      controller.current?.abort();
    };
  }, [key, attempt]);
  const unanswered = outcome.error?.status === 0;
  useEffect(() => {
    if (!unanswered) return;
    window.addEventListener(ANSWERED, retry);
    return () => window.removeEventListener(ANSWERED, retry);
  }, [unanswered]);
  return { ...outcome, retry, cancel };
}
