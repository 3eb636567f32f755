/** What rows are called. Names may be of any length: what is drawn again and again is cut. */
import { at, type Groups } from './groups';
import { text } from './text';
import { known, type TraceView } from './view';

/** More characters than anybody sees in a line. */
const SHOWN_MAX = 160;

export function brief(name: string): string {
  return name.length > SHOWN_MAX ? `${name.slice(0, SHOWN_MAX)}…` : name;
}

/** Who ran it; of a call that nobody answered, who was called is said beside it. */
export function serviceOf(view: TraceView, row: number): string {
  return view.services[at(view.rows.service, row)] ?? text.unknownService;
}

export function remoteOf(view: TraceView, row: number): string | undefined {
  return view.services[at(view.rows.remote, row)];
}

export function nameOf(view: TraceView, row: number): string {
  return view.names[at(view.rows.name, row)] || text.unnamedSpan;
}

export function versionOf(view: TraceView, row: number): string | undefined {
  return view.versions[at(view.rows.version, row)];
}

/** What a row is to who does not see it. */
export function rowLabel(view: TraceView, row: number): string {
  const { rows } = view;
  return text.row({
    service: brief(serviceOf(view, row)),
    name: brief(nameOf(view, row)),
    duration: known(rows.duration[row]),
    self: known(rows.duration[row]) === undefined ? undefined : at(rows.self, row),
    start: known(rows.start[row]),
    critical: at(rows.critical, row) > 0,
    failed: at(rows.error, row) === 1,
  });
}

/** What a group of repeats is to who does not see it. */
export function groupLabel(view: TraceView, groups: Groups, group: number): string {
  const first = at(groups.members, at(groups.begin, group));
  return text.group({
    service: brief(serviceOf(view, first)),
    name: brief(nameOf(view, first)),
    count: groupSize(groups, group),
    min: at(groups.min, group),
    median: at(groups.median, group),
    max: at(groups.max, group),
    errors: at(groups.errors, group),
  });
}

export function groupSize(groups: Groups, group: number): number {
  return at(groups.begin, group + 1) - at(groups.begin, group);
}
