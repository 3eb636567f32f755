/** Chooses the time a page is about, and says it. `[` and `]` go to the range before and after. */
import { formatClock, formatDuration, fromLocalInput, toLocalInput } from '../format';
import { useShortcuts } from '../keyboard';
import { changeParameters } from '../location';
import { useSettings } from '../settings';
import { LOOKBACK_MS, type NamedLookback, shifted, type TimeRange, timeRangeParameters } from '../time-range';
import { text } from './text';

export function TimeRangePicker({ range }: { range: TimeRange }) {
  useSettings();
  const now = Date.now();
  const go = (next: TimeRange) => changeParameters(timeRangeParameters(next), 'push');
  const move = (direction: -1 | 1) => go(shifted(range, direction, Date.now()));
  useShortcuts(text.timeRange, [
    { keys: ['['], text: text.earlier, run: () => move(-1) },
    { keys: [']'], text: text.later, run: () => move(1) },
  ]);
  const named = Object.entries(LOOKBACK_MS).find(([, ms]) => ms === range.lookback)?.[0] as NamedLookback | undefined;
  const choose = (event: Event) => {
    const name = (event.currentTarget as HTMLSelectElement).value;
    if (Object.hasOwn(LOOKBACK_MS, name)) go({ ...range, lookback: LOOKBACK_MS[name as NamedLookback] });
  };
  const setEnd = (event: Event) => go({ ...range, endTs: fromLocalInput((event.currentTarget as HTMLInputElement).value) });
  return (
    <div class="time-range" role="group" aria-label={text.timeRange}>
      <button type="button" aria-label={text.earlier} title={text.earlier} onClick={() => move(-1)}>
        ‹
      </button>
      <select aria-label={text.timeRange} value={named ?? 'other'} onChange={choose}>
        {Object.keys(LOOKBACK_MS).map((name) => (
          <option key={name} value={name}>
            {text.last[name as NamedLookback]}
          </option>
        ))}
        {!named && <option value="other">{text.lastOther(formatDuration(range.lookback * 1000))}</option>}
      </select>
      <label>
        {text.until}{' '}
        <input type="datetime-local" step="1" value={toLocalInput(range.endTs ?? now)} onChange={setEnd} />
      </label>
      <button type="button" aria-label={text.later} title={text.later} disabled={range.endTs === null} onClick={() => move(1)}>
        ›
      </button>
      {range.endTs !== null && (
        <button type="button" onClick={() => go({ ...range, endTs: null })}>
          {text.now}
        </button>
      )}
      <span class="muted numbers">
        {formatClock((range.endTs ?? now) - range.lookback, new Date(now))} – {range.endTs === null ? text.now : formatClock(range.endTs, new Date(now))}
      </span>
    </div>
  );
}
