/** What can honestly be said of an error budget, and what an objective is in words. */
import type { Budget, BurnRate, Objective } from '../api/schema';
import { formatDuration, formatShare } from '../format';
import { text } from './text';

const DAY_MS = 86_400_000;

/** Of fewer requests than these nothing is said but how many there are. */
export const REQUESTS_MIN = 30;

/** How many requests there have to be before one of them may be bad. */
export function requestsNeeded(objective: number): number {
  return Math.max(REQUESTS_MIN, Math.ceil(1 / (1 - objective) - 1e-9));
}

/** Share that is left, or nothing where too few requests came to tell: no data is never a full budget. */
export function budgetLeft({ valid, bad, objective, budgetRemaining }: Budget): number | undefined {
  if (budgetRemaining == null || valid < REQUESTS_MIN) return undefined;
  return bad === 0 && valid < requestsNeeded(objective) ? undefined : budgetRemaining;
}

/** The burn rate of a window, or nothing where too few requests came in it. */
export function burnIn({ burnRates }: Budget, window: number): (BurnRate & { shown: number | undefined }) | undefined {
  const found = burnRates.find((rate) => rate.window === window);
  return found && { ...found, shown: found.valid < REQUESTS_MIN ? undefined : (found.burnRate ?? undefined) };
}

export const HOUR_MS = 3_600_000;

/** Those that a list has, by their length. */
export const LISTED_WINDOWS: Record<number, string> = { 300_000: text.windows[0], [HOUR_MS]: text.windows[1], [6 * HOUR_MS]: text.windows[2], [72 * HOUR_MS]: text.windows[3] };

/** What the projection goes by. */
export const PROJECTED_BY = 6 * HOUR_MS;

/** Milliseconds until nothing is left at the burn rate of the last hours; `never` if not within the window. */
export function exhaustion(budget: Budget): number | 'spent' | 'never' | undefined {
  const left = budgetLeft(budget);
  const burn = burnIn(budget, PROJECTED_BY)?.shown;
  if (left === undefined) return undefined;
  if (left <= 0) return 'spent';
  if (burn === undefined) return undefined;
  const window = budget.windowDays * DAY_MS;
  const lasts = burn > 0 ? (left * window) / burn : Infinity;
  return lasts < window ? lasts : 'never';
}

/** Moments of a burndown: the last of them is now, the first a window ago. */
export function burndownMoments(endTs: number, windowDays: number): number[] {
  const steps = 28;
  const step = Math.max(60_000, Math.round((windowDays * DAY_MS) / steps / 60_000) * 60_000);
  return Array.from({ length: steps + 1 }, (_, index) => endTs - (steps - index) * step);
}

/** `99.9 %`, with as many digits as it has. */
export function formatObjective(objective: number): string {
  return `${Number((objective * 100).toFixed(6)).toLocaleString('en', { maximumFractionDigits: 6 })} %`;
}

/** `99 % within 250 ms`. */
export function objectiveText({ objective, indicator, thresholdMs }: Objective): string {
  const share = formatObjective(objective);
  return indicator === 'latency' && thresholdMs != null ? text.inTime(share, formatDuration(thresholdMs * 1000)) : text.available(share);
}

/** What is left, negative once it is overspent. */
export function formatLeft(left: number): string {
  return left < 0 ? `−${formatShare(-left)}` : formatShare(left);
}
