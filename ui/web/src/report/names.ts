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

/** Marks that turn what follows them around, and would beyond the name's end. */
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/** A name as it can stand in a sentence: not too long, and not turning the words around it. */
export function short(name: string): string {
  const plain = name.slice(0, NAME_CHARACTERS_MAX).replaceAll(TURNING, '');
  const cut = name.length <= NAME_CHARACTERS_MAX ? plain : `${plain}…`;
  return RIGHT_TO_LEFT.test(cut) ? `\u2068${cut}\u2069` : cut;
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

/** Words whose numbers stay on the line of their units. */
export function unbroken(words: string): string {
  return words.replaceAll(/(\d) (ms|µs|s|min|h|%)(?![\p{Letter}\d])/gu, '$1\u00a0$2');
}
