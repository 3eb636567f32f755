/** What is written on the map. Of a link any figure but the calls may be absent. */
import type { DependencyLink } from '../api/services';
import { formatChange, formatCount, formatDuration, formatShare } from '../format';
import { type Delta, toneOf } from './figures';
import { text } from './text';

/** The change where something is compared, else the p95; and how many fail, if any. */
export function labelOf({ p95, callCount, errorCount = 0 }: DependencyLink, change: Delta | undefined): string {
  const tone = toneOf(change);
  const time = change ? `${tone === 'worse' ? '▲' : tone === 'better' ? '▼' : ''}${formatChange(change.difference)}` : p95 === undefined ? '' : formatDuration(p95);
  const errors = errorCount > 0 ? text.errorsShort(formatShare(errorCount / callCount)) : '';
  return [time, errors].filter((part) => part !== '').join(' · ');
}

/** All that is known of the calls: for who points at a link. */
export function titleOf(link: DependencyLink): string {
  const { callCount, errorCount = 0 } = link;
  const percentiles = (['p50', 'p95', 'p99'] as const).flatMap((name) => {
    const duration = link[name];
    return duration === undefined ? [] : [`${name} ${formatDuration(duration)}`];
  });
  const errors = errorCount > 0 ? [text.errorsOf(formatShare(errorCount / callCount))] : [];
  return [`${cut(link.parent, 100)} → ${cut(link.child, 100)}: ${formatCount(callCount, 'call')}`, ...percentiles, ...errors].join(', ');
}

/** So that what is drawn keeps its place. */
export function cut(name: string, characters: number): string {
  return name.length > characters ? `${name.slice(0, characters - 1)}…` : name;
}
