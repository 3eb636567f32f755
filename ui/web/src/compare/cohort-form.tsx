/** What is compared, in words and as a form. */
import type { Report } from '../api/schema';
import { formatClock, fromLocalInput, toLocalInput } from '../format';
import { navigate } from '../location';
import { formatWhole, short } from '../report/names';
import { type Cohort, type Cohorts, parametersOf, VERSION_TAGS } from './cohorts';
import { text } from './text';

export function CohortWords({ cohorts, report }: { cohorts: Cohorts; report: Report | undefined }) {
  const sides = [
    ['a', text.before, cohorts.a, report?.baseline.traces],
    ['b', text.after, cohorts.b, report?.candidate.traces],
  ] as const;
  return (
    <ul class="compare-sides">
      {sides.map(([name, label, cohort, traces]) => (
        <li key={name} class={`compare-${name}`}>
          <span class="compare-side">{label}:</span> {wordsOf(cohort, cohorts.tag)}
          {traces !== undefined && <span class="muted"> · {text.count(formatWhole(traces))}</span>}
        </li>
      ))}
    </ul>
  );
}

/** `traces with inventory get /stock, version=1.4.3, from … to …`. */
function wordsOf({ service, operation, version, tags, from, to }: Cohort, tag: string): string {
  const now = new Date();
  const clock = (ms: number) => formatClock(ms, now);
  const when =
    from !== undefined && to !== undefined
      ? text.group.time(clock(from), clock(to))
      : from !== undefined
        ? text.group.since(clock(from))
        : to !== undefined
          ? text.group.untilTime(clock(to))
          : text.group.anyTime;
  return [
    text.group.traces(short(service), short(operation)),
    version !== '' && text.group.version(tag === '' ? text.version.toLowerCase() : tag, short(version)),
    tags !== '' && text.group.tags(short(tags)),
    when,
  ]
    .filter((part) => part !== false)
    .join(', ');
}

export function CohortForm({ cohorts, open }: { cohorts: Cohorts; open: boolean }) {
  const submit = (event: Event) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    navigate(`compare?${parametersOf(read(data))}`);
  };
  const swap = () => navigate(`compare?${parametersOf({ ...cohorts, a: cohorts.b, b: cohorts.a })}`);
  return (
    <details class="compare-form" open={open}>
      <summary>{text.edit}</summary>
      <form onSubmit={submit} aria-label={text.groups}>
        <fieldset>
          <legend>{text.groups}</legend>
          <Field name="service" label={text.service} value={cohorts.a.service} required />
          <Field name="op" label={text.operation} value={cohorts.a.operation} />
          <label>
            {text.versionTag}
            <input name="tag" list="compare-tags" defaultValue={cohorts.tag} />
            <datalist id="compare-tags">
              {VERSION_TAGS.map((tag) => (
                <option key={tag} value={tag} />
              ))}
            </datalist>
          </label>
        </fieldset>
        <SideFields name="a" legend={text.before} cohort={cohorts.a} />
        <SideFields name="b" legend={text.after} cohort={cohorts.b} />
        <p class="compare-actions">
          <button type="submit" class="primary">
            {text.compare}
          </button>
          <button type="button" onClick={swap}>
            {text.swap}
          </button>
        </p>
      </form>
    </details>
  );
}

function SideFields({ name, legend, cohort }: { name: 'a' | 'b'; legend: string; cohort: Cohort }) {
  const local = (ms: number | undefined) => (ms === undefined ? '' : toLocalInput(ms));
  return (
    <fieldset class={`compare-${name}`}>
      <legend class="compare-side">{legend}</legend>
      <Field name={`${name}.version`} label={text.version} value={cohort.version} />
      <Field name={`${name}.tags`} label={text.tags} value={cohort.tags} />
      <Field name={`${name}.from`} label={text.from} value={local(cohort.from)} type="datetime-local" />
      <Field name={`${name}.to`} label={text.until} value={local(cohort.to)} type="datetime-local" />
    </fieldset>
  );
}

interface FieldProperties {
  name: string;
  label: string;
  value: string;
  type?: 'text' | 'datetime-local';
  required?: boolean;
}

function Field({ name, label, value, type = 'text', required = false }: FieldProperties) {
  return (
    <label>
      {label}
      {type === 'text' ? (
        <input name={name} defaultValue={value} required={required} />
      ) : (
        <input name={name} type="datetime-local" step="1" defaultValue={value} />
      )}
    </label>
  );
}

function read(data: FormData): Cohorts {
  const word = (name: string) => String(data.get(name) ?? '').trim();
  const time = (name: string) => (word(name) === '' ? undefined : (fromLocalInput(word(name)) ?? undefined));
  const side = (name: 'a' | 'b'): Cohort => ({
    service: word('service'),
    operation: word('op'),
    version: word(`${name}.version`),
    tags: word(`${name}.tags`),
    from: time(`${name}.from`),
    to: time(`${name}.to`),
  });
  return { a: side('a'), b: side('b'), tag: word('tag') };
}
