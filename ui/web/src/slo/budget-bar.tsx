/** What is left of a budget: a number, and a bar that tells it without colour. */
import type { Budget } from '../api/schema';
import { formatShare } from '../format';
import { budgetLeft, requestsNeeded } from './budget';
import { text } from './text';

export function BudgetBar({ budget }: { budget: Budget }) {
  const left = budgetLeft(budget);
  if (left === undefined) {
    const { valid, objective } = budget;
    return (
      <span class="muted" title={text.tooFewOf(valid, requestsNeeded(objective))}>
        {valid === 0 ? text.noRequests : text.tooFew}
      </span>
    );
  }
  const tone = left <= 0 ? 'spent' : left < 0.25 ? 'low' : 'fine';
  return (
    <span class={`slo-budget slo-budget-${tone}`}>
      <svg width="80" height="12" aria-hidden="true">
        <rect class="slo-bar" width="80" height="12" rx="2" />
        <rect class="slo-bar-left" width={80 * Math.min(1, Math.max(0, left))} height="12" rx="2" />
      </svg>
      <span>{left < 0 ? text.overspent(formatShare(-left)) : formatShare(left)}</span>
    </span>
  );
}
