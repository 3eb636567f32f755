/** What a few letters may mean to who types them in the find: a trace, a page, a service, a deployment, or a text. */
import type { JudgedDeployment } from '../api/schema';
import { isTraceId, normalTraceId, pathOf } from '../location';
import { text } from './text';

export interface Match {
  kind: keyof typeof text.kinds;
  name: string;
  /** Where it leads, relative to the base. */
  path: string;
}

export interface Findable {
  services: readonly string[];
  deployments: readonly JudgedDeployment[];
}

/** More than these would not be read. */
const OF_A_KIND_MAX = 6;

const PAGES: [string, string][] = [
  ['', text.traces],
  ['deployments', text.deployments],
  ['services', text.services],
  ['map', text.map],
  ['slo', text.objectives],
  ['compare', text.compare],
  ['traceViewer', text.traceViewer],
  ['settings', text.settings],
];

/** What matches, best first. Of nothing typed, the pages and the newest deployments. */
export function matchesOf(typed: string, { services, deployments }: Findable): Match[] {
  const words = typed.trim().toLowerCase();
  const has = (name: string) => name.toLowerCase().includes(words);
  const first = (names: Match[]) =>
    names.toSorted((a, b) => Number(startsWith(b, words)) - Number(startsWith(a, words))).slice(0, OF_A_KIND_MAX);
  const traceId = normalTraceId(typed);
  const trace: Match[] = isTraceId(traceId) ? [{ kind: 'trace', name: traceId, path: `traces/${traceId}` }] : [];
  const named = [
    ...first(
      deployments
        .map(({ id, serviceName, version }) => ({
          kind: 'deployment' as const,
          name: `${serviceName} ${version}`,
          path: pathOf('deployments', id),
        }))
        .filter(({ name }) => has(name)),
    ),
    ...first(
      (words === '' ? [] : services)
        .filter(has)
        .map((name) => ({ kind: 'service' as const, name, path: pathOf('services', name) })),
    ),
    ...PAGES.filter(([, name]) => has(name)).map(([path, name]) => ({ kind: 'page' as const, name, path })),
  ];
  const search: Match[] =
    words === '' ? [] : [{ kind: 'text', name: typed.trim(), path: `?${new URLSearchParams({ q: typed.trim() })}` }];
  // A short identifier may as well be a word, such as "cafe".
  return traceId.length >= 16 ? [...trace, ...named, ...search] : [...named, ...trace, ...search];
}

function startsWith({ name }: Match, words: string): boolean {
  return name.toLowerCase().startsWith(words);
}
