/** What is left of the error budgets of services, asked for as services come into sight. */
import { getBudget, getObjectives } from '../api/objectives';
import { type Pieces, useFew } from '../few';
import { useRequest } from '../request';
import { budgetLeft } from '../slo/budget';
import type { AskedWindow } from '../window';

export interface ServiceBudget {
  /** Of the objective that has the least left. */
  name: string;
  /** Share of the budget, negative once it is overspent; absent without enough requests. */
  left?: number | undefined;
}

/** By service; of one without objectives nothing is known. */
export function useBudgets(asked: AskedWindow): Pieces<ServiceBudget | null> {
  const objectives = useRequest(asked.key, getObjectives);
  const all = objectives.answer;
  // Until the objectives are there nobody can be asked about; who wanted to know asks again then.
  return useFew(`${asked.key} ${all === undefined ? 'waiting' : 'known'}`, async (serviceName, signal) => {
    let least: ServiceBudget | null = null;
    for (const { name, serviceName: of } of all ?? []) {
      if (of !== serviceName) continue;
      const { body } = await getBudget(name, asked.endTs, signal);
      const left = budgetLeft(body);
      if (least === null || (left !== undefined && left < (least.left ?? Infinity))) least = { name, left };
    }
    return least;
  });
}
