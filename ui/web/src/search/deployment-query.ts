/** A deployment as a condition: its service, its version, and the time since it began. */
import type { Deployment } from '../api/schema';
import type { SearchQuery } from './query';

/** So much of what came after a rollout is looked at; everything so far while that has not passed. */
const AFTERWARDS_MS = 3_600_000;

/** The fields that it decides. */
export function ofDeployment(
  { serviceName, version, startTs, endTs }: Pick<Deployment, 'serviceName' | 'version' | 'startTs' | 'endTs'>,
  nowMs: number,
): Pick<SearchQuery, 'serviceName' | 'version' | 'lookback' | 'startTs' | 'endTs'> {
  const until = (endTs ?? startTs) + AFTERWARDS_MS;
  return { serviceName, version, lookback: 'range', startTs, endTs: until < nowMs ? until : null };
}
