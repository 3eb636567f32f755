/** The change of an entry operation's mean as parts that add up to it: findings, other mix, and what nothing explains. */
import type { EntryChange, Finding } from '../api/schema';
import { operationKey } from './names';

export type PartKind = 'finding' | 'other' | 'mix' | 'remainder' | 'total';

export interface Part {
  kind: PartKind;
  /** Of a part that is a finding. */
  finding?: Finding;
  /** Microseconds. */
  change: number;
  /** 95 % interval, of a finding. */
  low?: number;
  high?: number;
  /** Where it begins and ends as parts follow each other, microseconds. */
  from: number;
  to: number;
}

/**
 * The parts in order, the whole last. Findings that cost another entry operation more are told there, and here
 * together: `explained` less what is told. The parts add up to `total` exactly.
 */
export function waterfallOf(change: EntryChange, findings: readonly Finding[]): Part[] {
  const key = operationKey(change.entry);
  const parts: Omit<Part, 'from' | 'to'>[] = [];
  let told = 0;
  for (const finding of findings) {
    if (finding.kind === 'errors' || finding.contribution === 0 || operationKey(finding.entry) !== key) continue;
    told += finding.contribution;
    parts.push({ kind: 'finding', finding, change: finding.contribution, low: finding.contributionLow, high: finding.contributionHigh });
  }
  if (change.explained !== told) parts.push({ kind: 'other', change: change.explained - told });
  if (change.mixShift !== 0) parts.push({ kind: 'mix', change: change.mixShift });
  parts.push({ kind: 'remainder', change: change.remainder });
  let at = 0;
  const placed: Part[] = parts.map((part) => ({ ...part, from: at, to: (at += part.change) }));
  return [...placed, { kind: 'total', change: change.total, from: 0, to: change.total }];
}

/** The smallest and the largest value that is drawn, zero and the ends of intervals among them. */
export function extentOf(parts: readonly Part[]): [number, number] {
  let [low, high] = [0, 0];
  for (const { from, to, low: partLow, high: partHigh } of parts) {
    const values = [from, to];
    if (partLow !== undefined && partHigh !== undefined) values.push(from + partLow, from + partHigh);
    low = Math.min(low, ...values);
    high = Math.max(high, ...values);
  }
  return low === high ? [low - 1, high + 1] : [low, high];
}
