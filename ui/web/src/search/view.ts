/**
 * What the address says besides the question: which of the loaded traces are shown, how, and which are selected. It
 * stays when another question is asked, the selection so that traces of two searches can be compared.
 */

export interface View {
  /** Traces with a span of any of these; empty is all. */
  services: string[];
  /** As `service version`. */
  versions: string[];
  /** Only traces with errors, or only without; `null` is both. */
  failed: boolean | null;
  /** At most two trace identifiers, the first to be A. */
  selected: string[];
  as: 'list' | 'table';
}

/** More names than these in an address are a mistake. */
const NAMES_MAX = 50;

export function viewOf(search: string): View {
  const parameters = new URLSearchParams(search);
  const failed = parameters.get('failed');
  return {
    services: parameters.getAll('inService').slice(0, NAMES_MAX),
    versions: parameters.getAll('inVersion').slice(0, NAMES_MAX),
    failed: failed === 'true' ? true : failed === 'false' ? false : null,
    selected: (parameters.get('selected') ?? '').split(',').filter((id) => /^[0-9a-f]{1,32}$/.test(id)).slice(0, 2),
    as: parameters.get('view') === 'table' ? 'table' : 'list',
  };
}

/** An address of a question (`''` or with its `?`), with the view in it. */
export function withView(address: string, view: View): string {
  const parameters = new URLSearchParams(address);
  for (const name of view.services) parameters.append('inService', name);
  for (const name of view.versions) parameters.append('inVersion', name);
  if (view.failed !== null) parameters.set('failed', String(view.failed));
  if (view.selected.length > 0) parameters.set('selected', view.selected.join(','));
  if (view.as !== 'list') parameters.set('view', view.as);
  const search = parameters.toString();
  return search === '' ? '' : `?${search}`;
}

/** The selection with one more or one less; of three the oldest goes. */
export function toggled(selected: readonly string[], traceId: string): string[] {
  if (selected.includes(traceId)) return selected.filter((id) => id !== traceId);
  return [...selected, traceId].slice(-2);
}

/** Where two selected traces are compared. */
export function comparePath([a = '', b = '']: readonly string[]): string {
  return `compare?${new URLSearchParams({ a, b })}`;
}
