/** What somebody writes into the form, whether it can be an objective, and a threshold to begin with. */
import type { ObjectiveBody } from '../api/objectives';
import type { Objective, OperationRow } from '../api/schema';
import { requestRows } from '../services/figures';
import { text } from './text';

/** As it is typed. */
export interface Draft {
  name: string;
  serviceName: string;
  spanName: string;
  indicator: 'availability' | 'latency';
  thresholdMs: string;
  /** In percent. */
  objective: string;
  windowDays: string;
}

export type Field = keyof typeof text.errors;

/** A new one, of what an address names. */
export function newDraft(search: string): Draft {
  const parameters = new URLSearchParams(search);
  const [serviceName, spanName] = [parameters.get('serviceName') ?? '', parameters.get('spanName') ?? ''];
  return { name: nameFor(serviceName, spanName), serviceName, spanName, indicator: 'latency', thresholdMs: '', objective: '99', windowDays: '28' };
}

/** A name that reads well in an address. */
export function nameFor(serviceName: string, spanName: string): string {
  const words = `${serviceName} ${spanName}`.toLowerCase().match(/[\p{Letter}\p{Number}]+/gu) ?? [];
  return words.join('-').slice(0, 60);
}

export function draftOf({ name, serviceName, spanName, indicator, thresholdMs, objective, windowDays }: Objective): Draft {
  return {
    name,
    serviceName,
    spanName: spanName ?? '',
    indicator: indicator === 'latency' ? 'latency' : 'availability',
    thresholdMs: thresholdMs == null ? '' : String(thresholdMs),
    objective: String(Number((objective * 100).toFixed(6))),
    windowDays: String(windowDays),
  };
}

/** What is wrong with it, by field. */
export function errorsOf({ name, serviceName, indicator, thresholdMs, objective, windowDays }: Draft): Partial<Record<Field, string>> {
  const errors: Partial<Record<Field, string>> = {};
  const share = Number(objective);
  if (name.trim() === '') errors.name = text.errors.name;
  if (serviceName.trim() === '') errors.serviceName = text.errors.serviceName;
  if (indicator === 'latency' && !isWhole(thresholdMs, 1, Number.MAX_SAFE_INTEGER)) errors.thresholdMs = text.errors.thresholdMs;
  if (objective.trim() === '' || !(share > 0 && share < 100)) errors.objective = text.errors.objective;
  if (!isWhole(windowDays, 1, 366)) errors.windowDays = text.errors.windowDays;
  return errors;
}

function isWhole(typed: string, from: number, to: number): boolean {
  return /^\d+$/.test(typed.trim()) && Number(typed) >= from && Number(typed) <= to;
}

/** As it is sent, of a draft without errors. */
export function bodyOf({ serviceName, spanName, indicator, thresholdMs, objective, windowDays }: Draft): ObjectiveBody {
  return {
    serviceName: serviceName.trim(),
    ...(spanName.trim() !== '' && { spanName: spanName.trim() }),
    indicator,
    ...(indicator === 'latency' && { thresholdMs: Number(thresholdMs) }),
    objective: Number((Number(objective) / 100).toFixed(8)),
    windowDays: Number(windowDays),
  };
}

/** p99 of an operation, or of a service by its slowest one; microseconds. */
export function slowestP99(rows: readonly OperationRow[], spanName: string): number | undefined {
  const wanted = spanName.trim() === '' ? rows : rows.filter((row) => row.spanName === spanName.trim());
  const known = requestRows(wanted).flatMap(({ p99 }) => p99 ?? []);
  return known.length === 0 ? undefined : Math.max(...known);
}

const ROUND = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5, 10];

/** The next round number of milliseconds above a p99: what is met now, with a little room. */
export function suggestedThreshold(p99: number): number {
  const ms = Math.max(1, p99 / 1000);
  const decade = 10 ** Math.floor(Math.log10(ms));
  const factor = ROUND.find((round) => round * decade >= ms) ?? 10;
  return Math.ceil(factor * decade);
}
