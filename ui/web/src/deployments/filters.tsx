/** Which deployments are listed: service, verdict, kind, source, environment. All of it is in the address. */
import type { JudgedDeployment } from '../api/schema';
import { changeParameters } from '../location';
import { text as shell } from '../shell/text';
import { FILTERS, type Question, RETURN, SOURCES, type VerdictFilter } from './question';
import { text } from './text';

const GROUPS = ['byScore', 'byFound', 'byState'] as const;

/** Names that are offered; any other can be typed. */
const OFFERED_MAX = 500;

interface Properties {
  question: Question;
  /** The list as it is: what it has is offered. */
  known: JudgedDeployment[];
}

export function Filters({ question, known }: Properties) {
  const set = (name: string) => (event: Event) => {
    const { value } = event.currentTarget as HTMLInputElement | HTMLSelectElement;
    changeParameters({ [name]: value.trim() === '' ? null : value.trim() }, 'push');
  };
  const offered = (values: (string | null | undefined)[]) =>
    [...new Set(values.filter((value): value is string => !!value))].sort().slice(0, OFFERED_MAX);
  // Also what is asked for and is in no list any more.
  const kinds = [...new Set([...Object.keys(text.strategies), ...offered([...known.map(({ strategy }) => strategy), question.kind]), RETURN])];
  return (
    <form class="deployments-filters" aria-label={text.filters} onSubmit={(event) => event.preventDefault()}>
      <label>
        {text.service}
        <input key={question.serviceName} list="deployments-services" defaultValue={question.serviceName} onChange={set('serviceName')} placeholder={text.any} />
        <Offered id="deployments-services" values={offered(known.map(({ serviceName }) => serviceName))} />
      </label>
      <label>
        {text.verdict}
        <select value={question.verdict ?? ''} onChange={set('verdict')}>
          <option value="">{text.any}</option>
          {GROUPS.map((group) => (
            <optgroup key={group} label={text[group]}>
              {FILTERS[group].map((filter) => (
                <option key={filter} value={filter}>
                  {nameOf(filter)}
                </option>
              ))}
            </optgroup>
          ))}
        </select>
      </label>
      <label>
        {text.kind}
        <select value={question.kind} onChange={set('kind')}>
          <option value="">{text.any}</option>
          {kinds.map((kind) => (
            <option key={kind} value={kind}>
              {kind === RETURN ? text.rollback : (text.strategies[kind] ?? kind)}
            </option>
          ))}
        </select>
      </label>
      <label>
        {text.source}
        <select value={question.source ?? ''} onChange={set('source')}>
          <option value="">{text.any}</option>
          {SOURCES.map((source) => (
            <option key={source} value={source}>
              {text.sources[source]}
            </option>
          ))}
        </select>
      </label>
      <label>
        {text.environment}
        <input key={question.environment} list="deployments-environments" defaultValue={question.environment} onChange={set('environment')} placeholder={text.any} />
        <Offered id="deployments-environments" values={offered(known.map(({ environment }) => environment))} />
      </label>
    </form>
  );
}

function nameOf(filter: VerdictFilter): string {
  if (filter === 'running') return text.running;
  return filter === 'regressed' || filter === 'improved' || filter === 'unchanged' ? shell.verdicts[filter] : shell.standings[filter];
}

function Offered({ id, values }: { id: string; values: string[] }) {
  return (
    <datalist id={id}>
      {values.map((value) => (
        <option key={value} value={value} />
      ))}
    </datalist>
  );
}
