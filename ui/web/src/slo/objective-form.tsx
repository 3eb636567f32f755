/** Makes an objective or changes one. A threshold is suggested from what the operation takes. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

import { ApiError, getServices, getSpanNames } from '../api';
import { putObjective } from '../api/objectives';
import { getOperations } from '../api/services';
import { formatDuration } from '../format';
import { useRequest } from '../request';
import { announce } from '../shell/announcer';
import { Message } from '../shell/message';
import { bodyOf, type Draft, errorsOf, type Field, slowestP99, suggestedThreshold } from './form';
import { text } from './text';

interface Properties {
  initial: Draft;
  /** Its name cannot change. */
  existing?: boolean;
  /** The name that was saved; `null` where nothing was. */
  onDone: (name: string | null) => void;
}

const WEEK_MS = 604_800_000;

export function ObjectiveForm({ initial, existing = false, onDone }: Properties) {
  const [draft, setDraft] = useState(initial);
  const [tried, setTried] = useState(false);
  const [saving, setSaving] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const services = useRequest('services', getServices);
  const service = draft.serviceName.trim();
  const operations = useRequest(service === '' ? null : service, (signal) => getSpanNames(service, signal));
  const errors = tried ? errorsOf(draft) : {};
  const change = (key: keyof Draft) => (event: Event) => setDraft({ ...draft, [key]: (event.currentTarget as HTMLInputElement).value });
  const save = async (event: Event) => {
    event.preventDefault();
    setTried(true);
    if (Object.keys(errorsOf(draft)).length > 0) return;
    setSaving(true);
    try {
      const { name } = await putObjective(draft.name.trim(), bodyOf(draft));
      announce(text.saved(name));
      onDone(name);
    } catch (error) {
      setRefusal(error instanceof ApiError ? error.message : String(error));
      setSaving(false);
    }
  };
  return (
    <form class="slo-form" aria-label={text.form} noValidate onSubmit={save}>
      {refusal !== null && (
        <Message title={text.failed} tone="error">
          <p>{refusal}</p>
        </Message>
      )}
      <Row field="serviceName" label={text.fieldService} errors={errors}>
        {(attributes) => <input {...attributes} list="slo-services" value={draft.serviceName} onInput={change('serviceName')} />}
      </Row>
      <Row field="spanName" label={text.fieldOperation} hint={text.fieldOperationHint} errors={errors}>
        {(attributes) => <input {...attributes} list="slo-operations" value={draft.spanName} onInput={change('spanName')} />}
      </Row>
      <Names id="slo-services" names={services.answer} />
      <Names id="slo-operations" names={operations.answer} />
      <fieldset>
        <legend>{text.fieldIndicator}</legend>
        {(['latency', 'availability'] as const).map((indicator) => (
          <label key={indicator} class="slo-choice">
            <input type="radio" name="indicator" value={indicator} checked={draft.indicator === indicator} onChange={() => setDraft({ ...draft, indicator })} /> {text.indicators[indicator]}
          </label>
        ))}
      </fieldset>
      {draft.indicator === 'latency' && (
        <>
          <Row field="thresholdMs" label={text.fieldThreshold} errors={errors}>
            {(attributes) => <input {...attributes} inputMode="numeric" value={draft.thresholdMs} onInput={change('thresholdMs')} />}
          </Row>
          {service !== '' && <Suggestion serviceName={service} spanName={draft.spanName} onUse={(thresholdMs) => setDraft({ ...draft, thresholdMs: String(thresholdMs) })} />}
        </>
      )}
      <Row field="objective" label={text.fieldObjective} errors={errors}>
        {(attributes) => <input {...attributes} inputMode="decimal" value={draft.objective} onInput={change('objective')} />}
      </Row>
      <Row field="windowDays" label={text.fieldWindow} errors={errors}>
        {(attributes) => <input {...attributes} inputMode="numeric" value={draft.windowDays} onInput={change('windowDays')} />}
      </Row>
      <Row field="name" label={text.fieldName} hint={existing ? undefined : text.fieldNameHint} errors={errors}>
        {(attributes) => <input {...attributes} readOnly={existing} value={draft.name} onInput={change('name')} />}
      </Row>
      <p class="slo-ways">
        <button type="submit" class="primary" disabled={saving}>
          {text.save}
        </button>
        <button type="button" onClick={() => onDone(null)}>
          {text.cancel}
        </button>
      </p>
    </form>
  );
}

interface RowProperties {
  field: keyof Draft;
  label: string;
  hint?: string | undefined;
  errors: Partial<Record<Field, string>>;
  children: (attributes: Record<string, string | boolean | undefined>) => ComponentChildren;
}

/** A field with its name, a hint, and what is wrong with it. */
function Row({ field, label, hint, errors, children }: RowProperties) {
  const error = errors[field as Field];
  const id = `slo-${field}`;
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  return (
    <div class="slo-row">
      <label for={id}>{label}</label>
      {children({ id, 'aria-invalid': error !== undefined, 'aria-describedby': described, autocomplete: 'off' })}
      {hint && (
        <span id={`${id}-hint`} class="muted">
          {hint}
        </span>
      )}
      {error && (
        <span id={`${id}-error`} class="field-error" role="alert">
          {error}
        </span>
      )}
    </div>
  );
}

/** A longer list is no help. */
const NAMES_MAX = 500;

function Names({ id, names }: { id: string; names: string[] | undefined }) {
  return (
    <datalist id={id}>
      {names?.slice(0, NAMES_MAX).map((name) => (
        <option key={name} value={name} />
      ))}
    </datalist>
  );
}

interface SuggestionProperties {
  serviceName: string;
  spanName: string;
  onUse: (thresholdMs: number) => void;
}

function Suggestion({ serviceName, spanName, onUse }: SuggestionProperties) {
  const operations = useRequest(serviceName, (signal) => getOperations({ endTs: String(Date.now()), lookback: String(WEEK_MS) }, serviceName, signal));
  if (!operations.answer) return null;
  const p99 = slowestP99(operations.answer.body.operations, spanName);
  if (p99 === undefined) return <p class="muted">{text.noSuggestion}</p>;
  const threshold = suggestedThreshold(p99);
  return (
    <p class="slo-suggestion">
      {text.suggestion(formatDuration(p99))}
      <button type="button" onClick={() => onUse(threshold)}>
        {text.useSuggestion(formatDuration(threshold * 1000))}
      </button>
    </p>
  );
}
