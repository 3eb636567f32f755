/** What every service in sight is asked about, a few at a time: its steps, and those of its versions. */
import { getLatency, type LatencyQuestion } from '../api/services';
import { type Pieces, useFew } from '../few';
import type { OperationRow } from '../api/schema';
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

/** What an operation is asked by. */
export function operationKey({ serviceName, spanName, spanKind }: OperationRow): string {
  const question: LatencyQuestion = { serviceName, spanName, ...(spanKind != null && { spanKind }) };
  return JSON.stringify(question);
}

/** p95 a step, by {@link operationKey}. */
export function useOperationSteps(asked: AskedWindow): Pieces<(number | undefined)[]> {
  return useFew(asked.key, async (key, signal) => {
    const question = { ...(JSON.parse(key) as LatencyQuestion), step: sparkStep(asked.range.lookback) };
    const { body } = await getLatency(question, asked.api, signal);
    return body.series[0]?.points.map(({ p95 }) => p95 ?? undefined) ?? [];
  });
}
