/** What a user likes, on this browser only: each choice works at once. */
import { useEffect } from 'preact/hooks';

import { changeSettings, useSettings } from '../settings';
import { showHelp } from '../shell/shortcuts';
import { text as shellText } from '../shell/text';
import './settings.css';
import { text } from './text';

export default function Page() {
  useEffect(() => {
    document.title = shellText.titleOf(text.title);
  }, []);
  return (
    <main class="page settings-page">
      <h1>{text.title}</h1>
      <p class="muted">{text.keptHere}</p>
      <Choice name="theme" />
      <Choice name="zone" />
      <Choice name="dense" />
      <Choice name="order" />
      <Choice name="shortcuts" />
      <button type="button" onClick={showHelp}>
        {text.listOfKeys}
      </button>
    </main>
  );
}

function Choice<Name extends keyof typeof text.choices>({ name }: { name: Name }) {
  const current = useSettings()[name];
  const { title, why, choices } = text.choices[name];
  return (
    <fieldset class="settings-choice" aria-describedby={`${name}-why`}>
      <legend>{title}</legend>
      <p class="muted" id={`${name}-why`}>
        {why}
      </p>
      <span class="segments">
        {choices.map(([value, label]) => (
          <label key={label}>
            <input
              type="radio"
              name={name}
              checked={value === current}
              onChange={() => changeSettings({ [name]: value })}
            />
            <span>{label}</span>
          </label>
        ))}
      </span>
    </fieldset>
  );
}
