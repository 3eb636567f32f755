/** How operations, versions and shares of a report are written. */
import type { Deployment, Operation } from '../api/schema';
import { formatChange, formatShare } from '../format';

/** Names may be anything; more of one is not shown in a sentence. */
const NAME_CHARACTERS_MAX = 120;

/** What {@link operationName} needs; operations come with more. */
export type Named = Pick<Operation, 'serviceName' | 'spanName'> & { spanKind?: string | null };

/** `inventory get /stock`. */
export function operationName(operation: Named): string {
  const name = [operation.serviceName, operation.spanName].filter((part) => part !== '').join(' ');
  return short(name === '' ? '–' : name);
}

/** The same for those that are the same, another for others. */
export function operationKey(operation: Named): string {
  return JSON.stringify([operation.serviceName, operation.spanName, operation.spanKind ?? '']);
}

export function short(name: string): string {
  return name.length <= NAME_CHARACTERS_MAX ? name : `${name.slice(0, NAME_CHARACTERS_MAX)}…`;
}

/** `inventory 1.4.3`. */
export function deploymentName({ serviceName, version }: Pick<Deployment, 'serviceName' | 'version'>): string {
  return `${short(serviceName)} ${short(version)}`;
}

/** A share with its sign: `+39 %`. */
export function formatShareChange(share: number): string {
  const size = formatShare(Math.abs(share));
  if (size === '0 %') return '±0 %';
  return share < 0 ? `−${size}` : `+${size}`;
}

/** `p < 0.001`, `p = 0.03`: what follows the `p`. */
export function formatP(value: number): string {
  if (value < 0.001) return '< 0.001';
  return `= ${value.toLocaleString('en', { maximumSignificantDigits: 2 })}`;
}

export function formatInterval(low: number, high: number): string {
  return `${formatChange(low)} to ${formatChange(high)}`;
}

export function formatWhole(count: number): string {
  return Math.round(count).toLocaleString('en');
}
