/** How numbers and times are written, everywhere the same. */

/** Microseconds, as Zipkin's UI writes them: `12μs`, `5ms`, `5.123ms`, `1.234s`. */
export function formatDuration(duration: number | undefined): string {
  if (duration === undefined) return '–';
  if (duration === 0) return '0ms';
  if (duration < 1000) return `${duration.toFixed(0)}μs`;
  if (duration < 1_000_000) {
    const whole = duration % 1000 === 0;
    return `${(duration / 1000).toFixed(whole ? 0 : 3)}ms`;
  }
  return `${(duration / 1_000_000).toFixed(3)}s`;
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

function datePart(date: Date): string {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function timePart(date: Date): string {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Microseconds since the epoch to local time with milliseconds; the date only where it is not that of `now`. */
export function formatTime(timestamp: number, now: Date): string {
  const date = new Date(timestamp / 1000);
  const time = `${timePart(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
  return datePart(date) === datePart(now) ? time : `${datePart(date)} ${time}`;
}

/** Microseconds since the epoch to local date and time, to the microsecond. */
export function formatInstant(timestamp: number): string {
  const date = new Date(timestamp / 1000);
  return `${datePart(date)} ${timePart(date)}.${String(timestamp % 1_000_000).padStart(6, '0')}`;
}

/** Milliseconds since the epoch as `<input type="datetime-local">` takes them. */
export function toLocalInput(ms: number): string {
  const date = new Date(ms);
  return `${datePart(date)}T${timePart(date)}`;
}

/** The reverse of {@link toLocalInput}; `null` of what is no time. */
export function fromLocalInput(text: string): number | null {
  const ms = new Date(text).getTime();
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
  const minutes = -now.getTimezoneOffset();
  const size = Math.abs(minutes);
  const offset = `${minutes < 0 ? '−' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return zone === 'UTC' ? 'UTC' : `${zone} ${offset}`;
}
