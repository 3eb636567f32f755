/** Questions about objectives and their error budgets. */
import { apiUrl, getAnswer, getJson, sendJson, type Answer } from './http';
import type { Budget, Objective } from './schema';

/** An objective as it is put; its name is in the path. */
export type ObjectiveBody = Omit<Objective, 'name'>;

const pathOf = (name: string) => `slos/${encodeURIComponent(name)}`;

export function getObjectives(signal: AbortSignal): Promise<Objective[]> {
  return getJson(apiUrl('slos'), signal);
}

export function getObjective(name: string, signal: AbortSignal): Promise<Objective> {
  return getJson(apiUrl(pathOf(name)), signal);
}

/** The budget of the window that ends at a moment, milliseconds since the epoch. */
export function getBudget(name: string, endTs: number, signal: AbortSignal): Promise<Answer<Budget>> {
  return getAnswer(apiUrl(`${pathOf(name)}/budget`, { endTs: String(endTs) }), signal);
}

/** Makes an objective, or changes the one of that name. */
export function putObjective(name: string, body: ObjectiveBody): Promise<Objective> {
  return sendJson('PUT', apiUrl(pathOf(name)), body);
}

export function deleteObjective(name: string): Promise<void> {
  return sendJson('DELETE', apiUrl(pathOf(name)));
}
