/** The form of a search. What is typed is a draft until it is run; then it is the address. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { getRemoteServices, getSpanNames } from '../api';
import { fromLocalInput, toLocalInput } from '../format';
import { useRequest } from '../request';
import { LOOKBACK_MS } from '../time-range';
import { errorsOf, LIMIT_MAX, type Lookback, type SearchQuery, type Sort, SORTS } from './query';

interface Properties {
  query: SearchQuery;
  services: readonly string[];
  tagKeys: readonly string[];
  busy: boolean;
  onSearch: (query: SearchQuery) => void;
}

const LOOKBACK_LABELS: Record<Lookback, string> = {
  '1m': 'Last minute',
  '5m': 'Last 5 minutes',
  '15m': 'Last 15 minutes',
  '30m': 'Last 30 minutes',
  '1h': 'Last hour',
  '2h': 'Last 2 hours',
  '3h': 'Last 3 hours',
  '6h': 'Last 6 hours',
  '12h': 'Last 12 hours',
  '1d': 'Last day',
  '2d': 'Last 2 days',
  '7d': 'Last 7 days',
  millis: 'Last … milliseconds',
  range: 'From … to …',
};

const SORT_LABELS: Record<Sort, string> = { newest: 'Newest', slowest: 'Slowest', errors: 'Errors' };

export function SearchForm({ query, services, tagKeys, busy, onSearch }: Properties) {
  const [draft, setDraft] = useState(query);
  const set = (change: Partial<SearchQuery>) => setDraft((before) => ({ ...before, ...change }));
  useEffect(() => setDraft(query), [JSON.stringify(query)]);
  const errors = errorsOf(draft);
  const valid = Object.keys(errors).length === 0;
  // Names are asked for when a service is known to be one, not for every letter of it.
  const service = services.includes(draft.serviceName) ? draft.serviceName : null;
  const spanNames = useRequest(service, (signal) => getSpanNames(draft.serviceName, signal));
  const remoteServices = useRequest(service, (signal) => getRemoteServices(draft.serviceName, signal));
  const submit = (event: Event) => {
    event.preventDefault();
    if (valid) onSearch(draft);
  };
  const text = (field: 'serviceName' | 'spanName' | 'remoteServiceName') => ({
    value: draft[field],
    onValue: (value: string) => set({ [field]: value }),
  });
  return (
    <form class="search-form" aria-label="Search traces" onSubmit={submit}>
      <TextField label="Service" name="serviceName" placeholder="any" suggestions={services} {...text('serviceName')} />
      <TextField
        label="Span name"
        name="spanName"
        placeholder="any"
        suggestions={spanNames.answer ?? []}
        {...text('spanName')}
      />
      <TextField
        label="Remote service"
        name="remoteServiceName"
        placeholder="any"
        suggestions={remoteServices.answer ?? []}
        {...text('remoteServiceName')}
      />
      <TextField
        label="Tags and annotations"
        name="annotationQuery"
        class="wide"
        placeholder="error and http.method=GET"
        suggestions={tagKeys.map((key) => `${key}=`)}
        value={draft.annotationQuery}
        onValue={(annotationQuery) => set({ annotationQuery })}
      />
      <TextField
        label="Text"
        name="q"
        class="wide"
        placeholder={'timeo* "connection refused" /5\\d\\d/'}
        value={draft.q}
        onValue={(q) => set({ q })}
      />
      <TextField
        label="Longer than"
        name="minDuration"
        placeholder="10ms"
        value={draft.minDuration}
        error={errors.minDuration}
        onValue={(minDuration) => set({ minDuration })}
      />
      <TextField
        label="Shorter than"
        name="maxDuration"
        placeholder="1.5s"
        value={draft.maxDuration}
        error={errors.maxDuration}
        onValue={(maxDuration) => set({ maxDuration })}
      />
      <WindowFields draft={draft} errors={errors} set={set} />
      <Field label="Limit" name="limit" class="narrow" error={errors.limit}>
        <input
          id="limit"
          type="number"
          min={1}
          max={LIMIT_MAX}
          value={draft.limit || ''}
          aria-invalid={errors.limit !== undefined}
          onInput={(event) => set({ limit: event.currentTarget.valueAsNumber || 0 })}
        />
      </Field>
      <SortField sort={draft.sort} onSort={(sort) => (valid ? onSearch({ ...draft, sort }) : set({ sort }))} />
      <button type="submit" class="primary" aria-busy={busy}>
        Run search
      </button>
    </form>
  );
}

interface FieldProperties {
  label: string;
  /** Also the element's identifier. */
  name: string;
  error?: string | undefined;
  class?: string;
  children: ComponentChildren;
}

function Field({ label, name, error, class: className = '', children }: FieldProperties) {
  return (
    <div class={`field ${className}`}>
      <label for={name}>{label}</label>
      {children}
      {error !== undefined && (
        <span class="field-error" id={`${name}-error`} role="alert">
          {error}
        </span>
      )}
    </div>
  );
}

interface TextFieldProperties extends Omit<FieldProperties, 'children'> {
  value: string;
  placeholder: string;
  suggestions?: readonly string[];
  onValue: (value: string) => void;
}

function TextField({ value, placeholder, suggestions, onValue, ...field }: TextFieldProperties) {
  const list = suggestions && suggestions.length > 0 ? `${field.name}-list` : undefined;
  return (
    <Field {...field}>
      <input
        id={field.name}
        name={field.name}
        value={value}
        placeholder={placeholder}
        list={list}
        spellcheck={false}
        autocomplete="off"
        aria-invalid={field.error !== undefined}
        aria-describedby={field.error === undefined ? undefined : `${field.name}-error`}
        onInput={(event) => onValue(event.currentTarget.value.trimStart())}
      />
      {list && (
        <datalist id={list}>
          {suggestions?.map((suggestion) => (
            <option key={suggestion} value={suggestion} />
          ))}
        </datalist>
      )}
    </Field>
  );
}

interface WindowProperties {
  draft: SearchQuery;
  errors: ReturnType<typeof errorsOf>;
  set: (change: Partial<SearchQuery>) => void;
}

/** How far back, and until when: a part of them at a time. */
function WindowFields({ draft, errors, set }: WindowProperties) {
  const { lookback, millis, startTs, endTs } = draft;
  const choose = (lookback: Lookback) => {
    const begin = startTs ?? Date.now() - LOOKBACK_MS['1h'];
    set({ lookback, startTs: lookback === 'range' ? begin : null, ...(lookback !== 'range' && { endTs: null }) });
  };
  return (
    <>
      <Field label="Time" name="lookback">
        <select id="lookback" value={lookback} onChange={(event) => choose(event.currentTarget.value as Lookback)}>
          {Object.entries(LOOKBACK_LABELS).map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </Field>
      {lookback === 'millis' && (
        <Field label="Milliseconds" name="millis" error={errors.millis}>
          <input
            id="millis"
            type="number"
            min={1}
            value={millis || ''}
            onInput={(event) => set({ millis: event.currentTarget.valueAsNumber || 0 })}
          />
        </Field>
      )}
      {lookback === 'range' && (
        <TimeField label="From" name="startTs" value={startTs} error={errors.startTs} onValue={(startTs) => set({ startTs })} />
      )}
      {(lookback === 'range' || endTs !== null) && (
        <TimeField label="Until (empty is now)" name="endTs" value={endTs} error={errors.endTs} onValue={(endTs) => set({ endTs })} />
      )}
    </>
  );
}

interface TimeFieldProperties extends Omit<FieldProperties, 'children'> {
  value: number | null;
  onValue: (value: number | null) => void;
}

function TimeField({ value, onValue, ...field }: TimeFieldProperties) {
  return (
    <Field {...field}>
      <input
        id={field.name}
        type="datetime-local"
        step={1}
        value={value === null ? '' : toLocalInput(value)}
        aria-invalid={field.error !== undefined}
        onChange={(event) => onValue(fromLocalInput(event.currentTarget.value))}
      />
    </Field>
  );
}

/** Runs the search again at once: the order is the server's, over the whole window. */
function SortField({ sort, onSort }: { sort: Sort; onSort: (sort: Sort) => void }) {
  return (
    <fieldset class="field sort-field">
      <legend>Order</legend>
      <span class="segments">
        {SORTS.map((value) => (
          <label key={value}>
            <input type="radio" name="sort" value={value} checked={value === sort} onChange={() => onSort(value)} />
            <span>{SORT_LABELS[value]}</span>
          </label>
        ))}
      </span>
    </fieldset>
  );
}
