/** What every service in sight is asked about, a few at a time: its steps, and those of its versions. */
import { getLatency } from '../api/services';
import { type Pieces, useFew } from '../few';
import type { AskedWindow } from '../window';
import { type ServiceSteps, sparkStep, stepsOf } from './figures';

/** By service. */
export function useServiceSteps(asked: AskedWindow): Pieces<ServiceSteps> {
  return useFew(asked.key, async (serviceName, signal) => {
    const step = sparkStep(asked.range.lookback);
    const all = await getLatency({ serviceName, step }, asked.api, signal);
    const byVersion = await getLatency({ serviceName, step, groupBy: 'version' }, asked.api, signal);
    return stepsOf(all.body, byVersion.body, all.missing);
  });
}
