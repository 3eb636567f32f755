/** Chooses one of several operations; the choice is in the address. Nothing where there is nothing to choose. */
import { changeParameters } from '../location';
import { type Named, operationKey, operationName } from './names';

/** A list longer than this is cut: what matters comes first. */
const CHOICES_MAX = 200;

interface Properties {
  label: string;
  parameter: string;
  /** The key of what is chosen. */
  value: string;
  choices: Named[];
}

export function Chooser({ label, parameter, value, choices }: Properties) {
  const choose = (event: Event) => changeParameters({ [parameter]: (event.currentTarget as HTMLSelectElement).value });
  if (choices.length < 2) return null;
  const names = choices.map(operationName);
  return (
    <label class="report-chooser">
      <span>{label}</span>
      <select value={value} onChange={choose}>
        {choices.slice(0, CHOICES_MAX).map((choice, index) => (
          <option key={operationKey(choice)} value={operationKey(choice)}>
            {names.indexOf(names[index] ?? '') === names.lastIndexOf(names[index] ?? '') ? names[index] : `${names[index]} (${(choice.spanKind ?? '–').toLowerCase()})`}
          </option>
        ))}
      </select>
    </label>
  );
}
