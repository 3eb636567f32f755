/** What of the map is shown: where to begin, how far to go, what to compare with, as a picture or as a table. */
import { changeParameters } from '../location';
import type { MapState } from './map-state';
import { text } from './text';

interface Properties {
  state: MapState;
  /** All services on the map, in the order of the alphabet. */
  names: readonly string[];
}

/** A list of more than these is no help. */
const NAMES_MAX = 1000;

export function Controls({ state, names }: Properties) {
  const { serviceName, depth, comparison, table } = state;
  const choose = (event: Event) => {
    const name = (event.currentTarget as HTMLInputElement).value.trim();
    changeParameters({ service: name || null, serviceName: null, ...(name === '' && { depth: null }) }, 'push');
  };
  const select = (parameter: string, usual: string) => (event: Event) => {
    const { value } = event.currentTarget as HTMLSelectElement;
    changeParameters({ [parameter]: value === usual ? null : value }, 'push');
  };
  return (
    <div class="map-controls">
      <label>
        {text.chooseService}
        <input type="search" list="map-services" value={serviceName ?? ''} onChange={choose} />
      </label>
      <datalist id="map-services">
        {names.slice(0, NAMES_MAX).map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <label>
        {text.shown}
        <select value={String(depth)} disabled={serviceName === null} onChange={select('depth', 'all')}>
          {Object.entries(text.depths).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        {text.compare}
        <select value={comparison} onChange={select('compare', 'none')}>
          {Object.entries(text.comparisons).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <div class="map-views" role="group" aria-label={text.views}>
        <button type="button" aria-pressed={!table} onClick={() => changeParameters({ view: null })}>
          {text.picture}
        </button>
        <button type="button" aria-pressed={table} onClick={() => changeParameters({ view: 'table' })}>
          {text.table}
        </button>
      </div>
    </div>
  );
}
