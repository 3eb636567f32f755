/** What a deployment cost of the error budgets of its service. */
import type { SloState } from '../api/schema';

/** Of the objective that it hurts most. */
export interface Spent {
  /** Which. */
  name: string;
  /** Share of its budget; absent where too few requests came to tell. */
  share?: number;
  /** It goes on, and fast enough for an alarm. */
  burns: boolean;
  /** How many objectives the service has. */
  of: number;
}

/** What burns comes first, then what lost most; nothing where no objective is told. */
export function spentOf(states: readonly SloState[]): Spent | undefined {
  const [worst] = states.toSorted((a, b) => Number(b.fastBurn) - Number(a.fastBurn) || (b.spentByDeployment ?? -1) - (a.spentByDeployment ?? -1));
  if (!worst) return undefined;
  const { name, fastBurn, spentByDeployment: share } = worst;
  return { name, burns: fastBurn, of: states.length, ...(share != null && { share }) };
}
