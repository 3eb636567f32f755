/** What every service in sight is asked about, a few at a time: its steps by version. */
import { getLatency } from '../api/services';
import { type Pieces, useFew } from '../few';
import type { AskedWindow } from '../window';
import { type ServiceSteps, sparkStep, stepsOf } from './figures';

/** By service. */
export function useServiceSteps(asked: AskedWindow): Pieces<ServiceSteps> {
  return useFew(asked.key, async (serviceName, signal) => {
    const step = sparkStep(asked.range.lookback);
    const { body, missing } = await getLatency({ serviceName, step, groupBy: 'version' }, asked.api, signal);
    return stepsOf(body, missing);
  });
}
