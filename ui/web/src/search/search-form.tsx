/** The form of a search. What is typed is a draft until it is run; then it is the address. */
import { useEffect, useState } from 'preact/hooks';

import { getAutocompleteValues, getRemoteServices, getSpanNames } from '../api';
import { useRequest } from '../request';
import { useSettings } from '../settings';
import { text as shellText } from '../shell/text';
import { useServer } from '../shell/server';
import { LOOKBACK_MS, type NamedLookback } from '../time-range';
import { ofDeployment } from './deployment-query';
import { Field, NumberField, TextField, TimeField } from './fields';
import { errorsOf, type FieldErrors, LIMIT_MAX, type Lookback, type SearchQuery, SORTS, type TextField as TextName } from './query';
import { keyOf, tagSuggestions } from './suggestions';
import { text } from './text';

interface Properties {
  query: SearchQuery;
  services: readonly string[];
  tagKeys: readonly string[];
  busy: boolean;
  onSearch: (query: SearchQuery) => void;
}

/** What the fields of a draft have in common. */
interface Draft {
  draft: SearchQuery;
  errors: FieldErrors;
  set: (change: Partial<SearchQuery>) => void;
}

/** Below this the conditions that are rarely used are folded, or results would be far down. */
const WIDE_PX = 1024;

/** Fields that may be folded. */
const MORE: TextName[] = ['remoteServiceName', 'annotationQuery', 'q', 'minDuration', 'maxDuration'];

export function SearchForm({ query, services, tagKeys, busy, onSearch }: Properties) {
  // Times in fields are those of the zone.
  useSettings();
  const [draft, setDraft] = useState(query);
  const set = (change: Partial<SearchQuery>) => setDraft((before) => ({ ...before, ...change }));
  useEffect(() => setDraft(query), [JSON.stringify(query)]);
  const errors = errorsOf(draft);
  const submit = (event: Event) => {
    event.preventDefault();
    if (Object.keys(errors).length === 0) onSearch(draft);
    else (event.currentTarget as HTMLElement).querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  };
  const [open, setOpen] = useState(() => window.innerWidth >= WIDE_PX || MORE.some((field) => query[field] !== ''));
  const shared = { draft, errors, set };
  return (
    <form class="search-form" aria-label={text.searchTraces} noValidate onSubmit={submit}>
      <Names {...shared} services={services} />
      <WindowFields {...shared} />
      <NumberField
        label={text.limit}
        name="limit"
        class="narrow"
        max={LIMIT_MAX}
        value={draft.limit}
        error={errors.limit}
        onValue={(limit) => set({ limit })}
      />
      <button type="submit" class="primary" aria-busy={busy}>
        {text.run}
      </button>
      <details class="more-conditions" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>{text.moreConditions}</summary>
        <MoreConditions {...shared} tagKeys={tagKeys} />
      </details>
    </form>
  );
}

/** Of whom: names are asked for when a service is known to be one, not for every letter of it. */
function Names({ draft, set, services }: Draft & { services: readonly string[] }) {
  const { deployments = [] } = useServer();
  const service = services.includes(draft.serviceName) ? draft.serviceName : null;
  const spanNames = useRequest(service, (signal) => getSpanNames(draft.serviceName, signal));
  const those = deployments.filter(({ serviceName }) => draft.serviceName === '' || serviceName === draft.serviceName);
  return (
    <>
      <TextField
        label={text.service}
        name="serviceName"
        placeholder={text.any}
        suggestions={services}
        value={draft.serviceName}
        onValue={(serviceName) => set({ serviceName })}
      />
      <TextField
        label={text.spanName}
        name="spanName"
        placeholder={text.any}
        suggestions={spanNames.answer ?? []}
        value={draft.spanName}
        onValue={(spanName) => set({ spanName })}
      />
      <TextField
        label={text.version}
        name="version"
        class="half"
        placeholder={text.any}
        suggestions={[...new Set(those.map(({ version }) => version))]}
        value={draft.version}
        onValue={(version) => set({ version })}
      />
    </>
  );
}

function MoreConditions({ draft, errors, set, tagKeys }: Draft & { tagKeys: readonly string[] }) {
  const known = draft.serviceName === '' ? null : draft.serviceName;
  const remoteServices = useRequest(known, (signal) => getRemoteServices(draft.serviceName, signal));
  const key = keyOf(draft.annotationQuery, tagKeys);
  const values = useRequest(key, (signal) => getAutocompleteValues(key ?? '', signal));
  return (
    <div class="fields">
      <DeploymentField draft={draft} errors={errors} set={set} />
      <TextField
        label={text.tags}
        name="annotationQuery"
        class="wide"
        placeholder={text.tagsExample}
        suggestions={tagSuggestions(draft.annotationQuery, tagKeys, values.answer ?? [])}
        value={draft.annotationQuery}
        onValue={(annotationQuery) => set({ annotationQuery })}
      />
      <TextField
        label={text.words}
        name="q"
        class="wide"
        placeholder={text.wordsExample}
        value={draft.q}
        onValue={(q) => set({ q })}
      />
      <TextField
        label={text.remoteService}
        name="remoteServiceName"
        placeholder={text.any}
        suggestions={remoteServices.answer ?? []}
        value={draft.remoteServiceName}
        onValue={(remoteServiceName) => set({ remoteServiceName })}
      />
      <TextField
        label={text.longerThan}
        name="minDuration"
        class="narrow"
        placeholder={text.minimumExample}
        value={draft.minDuration}
        error={errors.minDuration}
        onValue={(minDuration) => set({ minDuration })}
      />
      <TextField
        label={text.shorterThan}
        name="maxDuration"
        class="narrow"
        placeholder={text.maximumExample}
        value={draft.maxDuration}
        error={errors.maxDuration}
        onValue={(maxDuration) => set({ maxDuration })}
      />
    </div>
  );
}

/** Fills service, version and time in: of a deployment, traces since it began. */
function DeploymentField({ draft, set }: Draft) {
  const { deployments = [] } = useServer();
  const those = deployments.filter(({ serviceName }) => draft.serviceName === '' || serviceName === draft.serviceName);
  const chosen = those.find(({ serviceName, version }) => serviceName === draft.serviceName && version === draft.version);
  const choose = (id: string) => {
    const deployment = those.find((one) => one.id === id);
    set(deployment ? ofDeployment(deployment, Date.now()) : { version: '' });
  };
  return (
    <Field label={text.deployment} name="deployment">
      <select id="deployment" value={chosen?.id ?? ''} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="">{text.anyDeployment}</option>
        {those.map(({ id, serviceName, version }) => (
          <option key={id} value={id}>
            {`${serviceName} ${version}`.slice(0, 80)}
          </option>
        ))}
      </select>
    </Field>
  );
}

/** How far back, and until when: a part of them at a time. */
function WindowFields({ draft, errors, set }: Draft) {
  const { lookback, millis, startTs, endTs } = draft;
  const choose = (lookback: Lookback) => {
    const begin = startTs ?? Date.now() - LOOKBACK_MS['1h'];
    set({ lookback, startTs: lookback === 'range' ? begin : null, ...(lookback !== 'range' && { endTs: null }) });
  };
  const names: [Lookback, string][] = [
    ...Object.keys(LOOKBACK_MS).map((name): [Lookback, string] => [name as NamedLookback, shellText.last[name as NamedLookback]]),
    ['millis', text.lookbacks.millis],
    ['range', text.lookbacks.range],
  ];
  return (
    <>
      <Field label={text.time} name="lookback" class="half">
        <select id="lookback" value={lookback} onChange={(event) => choose(event.currentTarget.value as Lookback)}>
          {names.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </Field>
      {lookback === 'millis' && (
        <NumberField
          label={text.milliseconds}
          name="millis"
          value={millis}
          error={errors.millis}
          onValue={(millis) => set({ millis })}
        />
      )}
      {lookback === 'range' && (
        <TimeField label={text.from} name="startTs" value={startTs} error={errors.startTs} onValue={(startTs) => set({ startTs })} />
      )}
      {(lookback === 'range' || endTs !== null) && (
        <TimeField label={text.until} name="endTs" value={endTs} error={errors.endTs} onValue={(endTs) => set({ endTs })} />
      )}
    </>
  );
}

/** Runs the search again at once: the order is the server's, over the whole window. */
export function OrderField({ query, onSearch }: Pick<Properties, 'query' | 'onSearch'>) {
  return (
    <fieldset class="search-order">
      <legend>{text.order}</legend>
      <span class="segments">
        {SORTS.map((sort) => (
          <label key={sort}>
            <input
              type="radio"
              name="sort"
              value={sort}
              checked={sort === query.sort}
              onChange={() => onSearch({ ...query, sort })}
            />
            <span>{text.orders[sort]}</span>
          </label>
        ))}
      </span>
    </fieldset>
  );
}
