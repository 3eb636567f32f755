/** What the loaded traces have in common: how many are of each service, version, and have errors. */
import type { TraceSummary } from '../api';
import type { View } from './view';

export interface Facet {
  name: string;
  /** Loaded traces that have it, whatever else is chosen. */
  count: number;
}

export interface Facets {
  services: Facet[];
  versions: Facet[];
  failed: number;
  fine: number;
}

/** A version of a service, as a facet names it. */
export function versionName(serviceName: string, version: string): string {
  return `${serviceName} ${version}`;
}

export function facetsOf(traces: readonly TraceSummary[]): Facets {
  const services = new Map<string, number>();
  const versions = new Map<string, number>();
  const add = (counts: Map<string, number>, name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const trace of traces) {
    for (const { serviceName, versions: those = [] } of trace.services ?? []) {
      add(services, serviceName);
      for (const version of those) add(versions, versionName(serviceName, version));
    }
  }
  const failed = traces.filter(({ errorCount }) => errorCount > 0).length;
  return { services: ranked(services), versions: ranked(versions), failed, fine: traces.length - failed };
}

/** Most first; equals by name. */
function ranked(counts: Map<string, number>): Facet[] {
  return [...counts]
    .map(([name, count]) => ({ name, count }))
    .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
}

/** Whether a view shows a trace: any of the names of a facet, and all facets. */
export function isShown(trace: TraceSummary, { services, versions, failed }: View): boolean {
  if (failed !== null && trace.errorCount > 0 !== failed) return false;
  const those = trace.services ?? [];
  if (services.length > 0 && !those.some(({ serviceName }) => services.includes(serviceName))) return false;
  return (
    versions.length === 0 ||
    those.some(({ serviceName, versions: its = [] }) =>
      its.some((version) => versions.includes(versionName(serviceName, version))),
    )
  );
}

/** True if the view leaves traces out. */
export function isNarrowed({ services, versions, failed }: View): boolean {
  return services.length > 0 || versions.length > 0 || failed !== null;
}
