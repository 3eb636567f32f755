/**
 * What of a trace is looked at, as the address has it: `span`, `root`, `hide`, `q`, `view`, `t0`, `t1`, `sort`, `detail`.
 *
 * Zooming changes it many times a second, and browsers stop pages that change their address as often: the page has
 * the new state at once, the address after a moment of rest.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

import { changeParameters, withParameters } from '../location';

export const VIEWS = ['timeline', 'flame', 'table'] as const;
export type ViewName = (typeof VIEWS)[number];

export interface TraceState {
  /** Identifiers of spans. */
  span: string | null;
  root: string | null;
  /** Names of services. */
  hide: readonly string[];
  q: string;
  view: ViewName;
  /** Microseconds since the trace's start; `null` for its whole length. */
  t0: number | null;
  t1: number | null;
  /** Where a span's details are: beside the rows, or below its own. */
  detail: 'side' | 'inline';
}

const REST_MS = 250;

export function stateOf(search: string): TraceState {
  const parameters = new URLSearchParams(search);
  const [t0, t1] = [micros(parameters.get('t0')), micros(parameters.get('t1'))];
  const isRange = t0 !== null && t1 !== null && t1 > t0;
  const view = VIEWS.find((name) => name === parameters.get('view'));
  return {
    span: parameters.get('span')?.toLowerCase() ?? null,
    root: parameters.get('root')?.toLowerCase() ?? null,
    hide: (parameters.get('hide') ?? '').split(',').filter(Boolean).map(decode),
    q: parameters.get('q') ?? '',
    view: view ?? 'timeline',
    t0: isRange ? t0 : null,
    t1: isRange ? t1 : null,
    detail: parameters.get('detail') === 'inline' ? 'inline' : 'side',
  };
}

/** The parameters of a state, `null` for what is as it is without them. The table's `sort` is its own. */
export function parametersOf(state: TraceState): Record<string, string | null> {
  return {
    span: state.span,
    root: state.root,
    hide: state.hide.map(encodeURIComponent).join(',') || null,
    q: state.q || null,
    view: state.view === 'timeline' ? null : state.view,
    t0: state.t0 === null ? null : String(Math.round(state.t0)),
    t1: state.t1 === null ? null : String(Math.round(state.t1)),
    detail: state.detail === 'inline' ? 'inline' : null,
  };
}

function micros(text: string | null): number | null {
  const value = text === null || text === '' ? NaN : Number(text);
  return Number.isFinite(value) && value >= 0 ? value : null;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export type ChangeState = (change: Partial<TraceState>) => void;

/** The state, and what changes it. The address follows; where it changes by itself (back, a link), the state does. */
export function useTraceState(search: string): [TraceState, ChangeState] {
  const [state, setState] = useState(() => stateOf(search));
  const latest = useRef(state);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const written = useRef(search);
  const write = () => {
    clearTimeout(timer.current);
    timer.current = undefined;
    const parameters = parametersOf(latest.current);
    written.current = withParameters(location.search, parameters);
    changeParameters(parameters);
  };
  useEffect(() => {
    if (search === written.current) return;
    // Something else of the page changed its own parameter: what was just zoomed to stays.
    if (timer.current !== undefined) return write();
    written.current = search;
    latest.current = stateOf(search);
    setState(latest.current);
  }, [search]);
  const change = useCallback<ChangeState>((part) => {
    latest.current = { ...latest.current, ...part };
    setState(latest.current);
    if (!('t0' in part)) return write();
    clearTimeout(timer.current);
    timer.current = setTimeout(write, REST_MS);
  }, []);
  // What is late does not end in another page's address.
  useEffect(() => () => clearTimeout(timer.current), []);
  return [state, change];
}
