/** The time that a page asks about, as it was when the page asked: everything on it is about the same window. */
import { useMemo, useState } from 'preact/hooks';

import type { ApiWindow } from './api/services';
import { formatClock, formatZone } from './format';
import { withParameters } from './location';
import { useSettings } from './settings';
import { apiWindow, type TimeRange, timeRangeOf, type Window, windowOf } from './time-range';

export interface AskedWindow extends Window {
  range: TimeRange;
  /** As questions have it. */
  api: ApiWindow;
  /** Changes whenever everything is to be asked anew. */
  key: string;
  /** Asks anew: a window that ends now ends later then. */
  again: () => void;
}

/** The window of an address's query. */
export function useAskedWindow(search: string, defaultLookback: number): AskedWindow {
  const [attempt, setAttempt] = useState(0);
  const { lookback, endTs } = timeRangeOf(search, defaultLookback);
  return useMemo(() => {
    const range = { lookback, endTs };
    const now = Date.now();
    const api = apiWindow(range, now);
    const key = `${api.endTs} ${api.lookback}`;
    return { range, api, key, ...windowOf(range, now), again: () => setAttempt((before) => before + 1) };
  }, [lookback, endTs, attempt]);
}

/** A window in words, with its zone. */
export function useWindowText({ startTs, endTs }: Window): string {
  useSettings();
  const now = new Date();
  return `${formatClock(startTs, now)} – ${formatClock(endTs, now)}, ${formatZone(now)}`;
}

const TIME_PARAMETERS = ['lookback', 'millis', 'endTs', 'startTs', 'startTime', 'endTime'];

/** A path, relative to the base, that is about the time that the page is about; its other parameters may be given. */
export function sameTime(path: string, parameters: Record<string, string> = {}): string {
  const here = new URLSearchParams(location.search);
  const time = TIME_PARAMETERS.flatMap((name) => {
    const value = here.get(name);
    return value === null ? [] : [[name, value]];
  });
  return path + withParameters('', { ...Object.fromEntries(time), ...parameters });
}
