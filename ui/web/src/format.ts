/** How numbers and times are written, everywhere the same; times in the zone that the settings say. */
import { settings } from './settings';

/** Microseconds with three significant digits and a unit: `812 µs`, `61.3 ms`, `1.24 s`, `12.5 min`, `3.2 h`. */
export function formatDuration(duration: number | undefined): string {
  if (duration === undefined) return '–';
  const size = Math.abs(duration);
  if (size < 999.5) return `${digits(duration)} µs`;
  if (size < 999_500) return `${digits(duration / 1000)} ms`;
  if (size < 120_000_000) return `${digits(duration / 1_000_000)} s`;
  if (size < 7_200_000_000) return `${digits(duration / 60_000_000)} min`;
  return `${digits(duration / 3_600_000_000)} h`;
}

/** A change: always with its sign, `+23.1 ms`, `−4.2 ms`, `±0 µs`. */
export function formatChange(duration: number): string {
  if (Math.round(duration) === 0) return '±0 µs';
  return duration < 0 ? `−${formatDuration(-duration)}` : `+${formatDuration(duration)}`;
}

/** Microseconds in full, for who needs them: `84,300 µs`. */
export function formatExact(duration: number | undefined): string {
  return duration === undefined ? '–' : `${Math.round(duration).toLocaleString('en')} µs`;
}

/** Three significant digits, without an exponent and without zeros that say nothing: `61.3`, `1,240`, `0.05`. */
export function digits(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

/** A part of the whole: `37 %`, `0.4 %`. */
export function formatShare(share: number): string {
  return `${(share * 100).toLocaleString('en', { maximumSignificantDigits: 2 })} %`;
}

/** A score of 0 to 100, never rounded up to a pass: `92`, `89` of 89.9. */
export function formatScore(score: number): string {
  return String(Math.floor(score + 1e-9));
}

/** Events a second: `150/s`, `0.2/s`. */
export function formatRate(rate: number): string {
  return `${digits(rate)}/s`;
}

const MICROS_A_UNIT: Record<string, number> = { s: 1_000_000, ms: 1000, us: 1, μs: 1, µs: 1, '': 1 };

/** Reads `10s`, `1.5ms`, `10us` or `10` (microseconds). `null` of anything else, and of nothing and zero. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*(s|ms|us|μs|µs|)$/.exec(text.trim());
  if (!match) return null;
  const micros = Math.round(Number(match[1]) * (MICROS_A_UNIT[match[2] ?? ''] ?? 1));
  return micros > 0 && Number.isSafeInteger(micros) ? micros : null;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** A date whose local fields are those of the zone that times are shown in. */
export function zonedDate(ms: number): Date {
  const date = new Date(ms);
  return settings().zone === 'utc' ? new Date(ms + date.getTimezoneOffset() * 60_000) : date;
}

function datePart(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function timePart(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Microseconds since the epoch to time with milliseconds; the date only where it is not that of `now`. */
export function formatTime(timestamp: number, now: Date): string {
  const date = zonedDate(timestamp / 1000);
  const time = `${timePart(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
  return datePart(date) === datePart(zonedDate(now.getTime())) ? time : `${datePart(date)} ${time}`;
}

/** Microseconds since the epoch to date and time, to the microsecond. */
export function formatInstant(timestamp: number): string {
  const date = zonedDate(timestamp / 1000);
  return `${datePart(date)} ${timePart(date)}.${String(timestamp % 1_000_000).padStart(6, '0')}`;
}

/** Milliseconds since the epoch to the second, without the date where it is that of `now`: charts, lists. */
export function formatClock(ms: number, now: Date): string {
  const date = zonedDate(ms);
  return datePart(date) === datePart(zonedDate(now.getTime())) ? timePart(date) : `${datePart(date)} ${timePart(date)}`;
}

/** The day of a time in milliseconds since the epoch: `2026-11-20`. */
export function formatDay(ms: number): string {
  return datePart(zonedDate(ms));
}

/** The time of the day, to the second, of milliseconds since the epoch. */
export function formatTimeOfDay(ms: number): string {
  return timePart(zonedDate(ms));
}

/** Milliseconds since the epoch as `<input type="datetime-local">` takes them. */
export function toLocalInput(ms: number): string {
  const date = zonedDate(ms);
  return `${datePart(date)}T${timePart(date)}`;
}

/** The reverse of {@link toLocalInput}; `null` of what is no time. */
export function fromLocalInput(text: string): number | null {
  const ms = new Date(settings().zone === 'utc' ? `${text}Z` : text).getTime();
  return Number.isNaN(ms) ? null : ms;
}

const STEPS: [string, number][] = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
];

/** How long before `now` something was: `3 min ago`. */
export function formatAgo(timestamp: number, now: Date): string {
  const seconds = Math.round((now.getTime() - timestamp / 1000) / 1000);
  if (seconds < 0) return 'in the future';
  const [unit, size] = STEPS.find(([, size]) => seconds >= size) ?? ['s', 1];
  return seconds === 0 ? 'just now' : `${Math.floor(seconds / size)} ${unit} ago`;
}

/** `1 span`, `2 spans`, `12,345 spans`. */
export function formatCount(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

/** The zone that times are shown in: `Europe/Rome +01:00`. */
export function formatZone(now: Date): string {
  if (settings().zone === 'utc') return 'UTC';
  const minutes = -now.getTimezoneOffset();
  const size = Math.abs(minutes);
  const offset = `${minutes < 0 ? '−' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return zone === 'UTC' ? 'UTC' : `${zone} ${offset}`;
}
