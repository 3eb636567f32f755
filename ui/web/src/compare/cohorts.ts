/** Two groups of traces: as the address says them, as the API asks for them. */

/** One group. Everything but the service may be absent. */
export interface Cohort {
  service: string;
  operation: string;
  version: string;
  /** More conditions, as Zipkin's `annotationQuery`. */
  tags: string;
  /** Milliseconds since the epoch. */
  from: number | undefined;
  to: number | undefined;
}

export interface Cohorts {
  a: Cohort;
  b: Cohort;
  /** The tag that versions stand in; empty where it still has to be found out. */
  tag: string;
}

/** Where versions are looked for, in the server's own order. */
export const VERSION_TAGS = ['service.version', 'version', 'app.version'];

/**
 * `service`, `op`, `tag`, and of each side `version`, `tags`, `from` and `to` with `a.` or `b.` before them; `tags`, `from`
 * and `to` without it count for both.
 */
export function cohortsOf(search: string): Cohorts {
  const parameters = new URLSearchParams(search);
  const text = (name: string) => parameters.get(name)?.trim() ?? '';
  const time = (name: string) => (/^\d{1,15}$/.test(text(name)) ? Number(text(name)) : undefined);
  const side = (name: 'a' | 'b'): Cohort => ({
    service: text('service').toLowerCase(),
    operation: text('op').toLowerCase(),
    version: text(`${name}.version`),
    tags: text(`${name}.tags`) || text('tags'),
    from: time(`${name}.from`) ?? time('from'),
    to: time(`${name}.to`) ?? time('to'),
  });
  return { a: side('a'), b: side('b'), tag: text('tag') };
}

/** The search of a group's traces, as `/api/v2/traces` takes it. */
export function searchOf(cohort: Cohort, tag: string): URLSearchParams {
  const { service, operation, version, tags, from, to } = cohort;
  const search = new URLSearchParams({ serviceName: service });
  if (operation !== '') search.set('spanName', operation);
  const conditions = [version === '' ? '' : `${tag}=${version}`, tags].filter((condition) => condition !== '');
  if (conditions.length > 0) search.set('annotationQuery', conditions.join(' and '));
  if (to !== undefined) search.set('endTs', String(to));
  if (from !== undefined) search.set('lookback', String(Math.max(1, (to ?? Date.now()) - from)));
  return search;
}

/** The parameters of an address that says these groups; the reverse of {@link cohortsOf}. */
export function parametersOf({ a, b, tag }: Cohorts): URLSearchParams {
  const parameters = new URLSearchParams({ service: a.service });
  const set = (name: string, value: string | number | undefined) => {
    if (value !== undefined && value !== '') parameters.set(name, String(value));
  };
  set('op', a.operation);
  set('tag', tag);
  for (const [name, { version, tags, from, to }] of [['a', a], ['b', b]] as const) {
    set(`${name}.version`, version);
    set(`${name}.tags`, tags);
    set(`${name}.from`, from);
    set(`${name}.to`, to);
  }
  return parameters;
}
