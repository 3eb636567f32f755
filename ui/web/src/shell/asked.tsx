/** What a page shows of a question: that it waits, that it failed, that the answer is partial, and the answer. */
import type { ComponentChildren } from 'preact';

import type { Requested } from '../request';
import { Message } from './message';
import { text } from './text';

interface Properties<T> {
  request: Requested<T>;
  /** Why the answer is not about everything; `null` where it is. */
  missing?: (answer: T) => string | null;
  children: (answer: T) => ComponentChildren;
}

export function Asked<T>({ request, missing, children }: Properties<T>) {
  const { answer, error, slow } = request;
  const reason = answer === undefined ? null : (missing?.(answer) ?? null);
  return (
    <>
      {error && <Failure request={request} />}
      {reason !== null && <p class="note">{text.partial(reason)}</p>}
      {answer === undefined ? (
        slow && <Waiting />
      ) : (
        <div class={slow || error ? 'stale' : ''} aria-busy={slow}>
          {children(answer)}
        </div>
      )}
    </>
  );
}

/** What went wrong, and the button that asks again. */
export function Failure<T>({ request }: { request: Requested<T> }) {
  const { error, retry } = request;
  if (!error) return null;
  return (
    <Message title={error.status === 0 ? text.failed : text.failedWith(error.status)} tone="error">
      <p>{error.message}</p>
      <button type="button" onClick={retry}>
        {text.tryAgain}
      </button>
    </Message>
  );
}

export function Waiting() {
  return (
    <div class="skeleton" role="status">
      <span class="visually-hidden">{text.loading}</span>
      {Array.from({ length: 5 }, (_, index) => (
        <div class="skeleton-row" key={index} />
      ))}
    </div>
  );
}
