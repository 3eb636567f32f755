/** Fields of the form: a label, the input, and what is wrong with it. */
import type { ComponentChildren } from 'preact';

import { fromLocalInput, toLocalInput } from '../format';

interface FieldProperties {
  label: string;
  /** Also the element's identifier. */
  name: string;
  error?: string | undefined;
  class?: string;
  children: ComponentChildren;
}

export function Field({ label, name, error, class: className = '', children }: FieldProperties) {
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

/** More would make the browser slow, and nobody reads them: typing a letter more finds the others. */
const SUGGESTIONS_MAX = 200;

export function TextField({ value, placeholder, suggestions = [], onValue, ...field }: TextFieldProperties) {
  const typed = value.toLowerCase();
  const fitting = suggestions.filter((suggestion) => suggestion.toLowerCase().includes(typed)).slice(0, SUGGESTIONS_MAX);
  const list = fitting.length > 0 ? `${field.name}-list` : undefined;
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
          {fitting.map((suggestion) => (
            <option key={suggestion} value={suggestion} />
          ))}
        </datalist>
      )}
    </Field>
  );
}

interface NumberFieldProperties extends Omit<FieldProperties, 'children'> {
  value: number;
  max?: number;
  onValue: (value: number) => void;
}

export function NumberField({ value, max, onValue, ...field }: NumberFieldProperties) {
  return (
    <Field {...field}>
      <input
        id={field.name}
        type="number"
        min={1}
        max={max}
        value={value || ''}
        aria-invalid={field.error !== undefined}
        aria-describedby={field.error === undefined ? undefined : `${field.name}-error`}
        onInput={(event) => onValue(event.currentTarget.valueAsNumber || 0)}
      />
    </Field>
  );
}

interface TimeFieldProperties extends Omit<FieldProperties, 'children'> {
  /** Milliseconds since the epoch. */
  value: number | null;
  onValue: (value: number | null) => void;
}

export function TimeField({ value, onValue, ...field }: TimeFieldProperties) {
  return (
    <Field {...field}>
      <input
        id={field.name}
        type="datetime-local"
        step={1}
        value={value === null ? '' : toLocalInput(value)}
        aria-invalid={field.error !== undefined}
        aria-describedby={field.error === undefined ? undefined : `${field.name}-error`}
        onChange={(event) => onValue(fromLocalInput(event.currentTarget.value))}
      />
    </Field>
  );
}
