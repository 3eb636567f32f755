/**
 * The tour of the demo's report. The demo prints addresses with `tour=demo`, and nobody else does; which step is shown
 * is in the address too, and who ends it never sees it again.
 */
import type { Settings } from '../settings';

/** What each step is about, in their order. */
export const STEPS = ['sentence', 'why', 'diff', 'gate'] as const;

const PARAMETER = 'tour';

/** The step that an address is at, from 1 on; `undefined` where no tour is taken. */
export function tourStep(search: string, { toured }: Pick<Settings, 'toured'>): number | undefined {
  const at = new URLSearchParams(search).get(PARAMETER);
  if (at === null || toured) return undefined;
  const step = Number(at);
  return Number.isInteger(step) && step >= 1 && step <= STEPS.length ? step : 1;
}

/** For the address: at a step, or without a tour. */
export function tourParameter(step: number | null): Record<string, string | null> {
  return { [PARAMETER]: step === null ? null : String(step) };
}

/** The path of a report that is come to from a page with or without the tour. */
export function withTour(path: string, search: string): string {
  return new URLSearchParams(search).has(PARAMETER) ? `${path}?${PARAMETER}=demo` : path;
}
