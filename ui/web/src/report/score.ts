/** How a score came about, from the report's checks. */
import type { Check } from '../api/schema';

export interface Scored {
  check: Check;
  /** Points of the score that it gives; absent without data. */
  points?: number;
  /** Points that it could give. */
  possible?: number;
}

export interface ScoredGroup {
  group: string;
  /** Its part of 100, of checks with data. */
  possible: number;
  points: number;
}

/** Every check with its points, what costs the most first; those without data last. */
export function scoredChecks(checks: readonly Check[]): Scored[] {
  const all = checks.reduce((sum, { weight, grade }) => sum + (grade == null ? 0 : weight), 0);
  const scored = checks.map((check): Scored => {
    if (check.grade == null || all === 0) return { check };
    const possible = (100 * check.weight) / all;
    return { check, possible, points: possible * check.grade };
  });
  return scored.sort((a, b) => costOf(b) - costOf(a));
}

/** Points that a check costs; of one without data −1, so that it comes last. */
export function costOf({ points, possible }: Scored): number {
  return points === undefined || possible === undefined ? -1 : possible - points;
}

/** The sum of the points: the score, if every check is listed and none sets it to 0. */
export function sumOf(scored: readonly Scored[]): number {
  return scored.reduce((sum, { points = 0 }) => sum + points, 0);
}

/** Critical checks that failed: they set the score to 0. */
export function failedCritical(checks: readonly Check[]): Check[] {
  return checks.filter(({ critical }) => critical);
}

/** Points by group, in the order in which groups first come in `checks`. */
export function scoredGroups(checks: readonly Check[]): ScoredGroup[] {
  const groups = new Map<string, ScoredGroup>();
  for (const { group } of checks) groups.set(group, { group, possible: 0, points: 0 });
  for (const { check, points = 0, possible = 0 } of scoredChecks(checks)) {
    const group = groups.get(check.group);
    if (!group) continue;
    group.possible += possible;
    group.points += points;
  }
  return [...groups.values()];
}

/** What the score cannot be above, and the check that says so. */
export interface Bound {
  most: number;
  /** The worst that users felt; absent where only other checks have a reason. */
  by?: Check;
}

/** A deployment that made something worse has at most this, times the worst grade of what its users felt. */
const WORSENED_MAX = 89;

/** Where a check has a reason: 89 times the worst grade of entry operations, and of failures with a reason. */
export function boundOf(checks: readonly Check[]): Bound | undefined {
  if (checks.every(({ reason }) => !reason)) return undefined;
  const felt = checks.filter(({ group, reason, grade }) => grade != null && (group === 'entries' || (group === 'errors' && reason)));
  const by = felt.toSorted((a, b) => (a.grade ?? 1) - (b.grade ?? 1))[0];
  return { most: WORSENED_MAX * Math.min(1, by?.grade ?? 1), ...(by && { by }) };
}
