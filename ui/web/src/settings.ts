/**
 * What a user likes, on this browser only: nothing here changes what is asked or found, and nothing here is in an
 * address. `public/theme.js` reads theme and density before the first paint.
 */
import { useEffect, useState } from 'preact/hooks';

export interface Settings {
  theme: 'system' | 'light' | 'dark';
  /** Which zone times are shown in. */
  zone: 'local' | 'utc';
  /** Whether single keys do anything (WCAG 2.1.4). */
  shortcuts: boolean;
  /** Rows of 24 pixels instead of 32. */
  dense: boolean;
  /** The order of a search that does not say one. */
  order: 'newest' | 'slowest' | 'errors';
  /** The tour of the demo was taken, or not wanted. */
  toured: boolean;
}

const DEFAULTS: Settings = { theme: 'system', zone: 'local', shortcuts: true, dense: false, order: 'newest', toured: false };

const CHOICES: { [Key in keyof Settings]: readonly Settings[Key][] } = {
  theme: ['system', 'light', 'dark'],
  zone: ['local', 'utc'],
  shortcuts: [true, false],
  dense: [false, true],
  order: ['newest', 'slowest', 'errors'],
  toured: [false, true],
};

const KEY = 'tracehound.settings';

let current = read();
const listeners = new Set<(settings: Settings) => void>();

/** What is stored, with defaults for what is missing or not one of the choices. */
function read(): Settings {
  let stored: Partial<Record<keyof Settings, unknown>> = {};
  try {
    const value: unknown = JSON.parse(globalThis.localStorage?.getItem(KEY) ?? '{}');
    if (typeof value === 'object' && value !== null) stored = value;
  } catch {
    // Storage that is forbidden or damaged is as good as none.
  }
  const pick = <Key extends keyof Settings>(key: Key): Settings[Key] =>
    CHOICES[key].find((choice) => choice === stored[key]) ?? DEFAULTS[key];
  return { theme: pick('theme'), zone: pick('zone'), shortcuts: pick('shortcuts'), dense: pick('dense'), order: pick('order'), toured: pick('toured') };
}

/** The settings now, for code that is no component. */
export function settings(): Settings {
  return current;
}

/** Changes some of them, keeps them, and renders everything anew that shows them. */
export function changeSettings(change: Partial<Settings>): void {
  current = { ...current, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // They hold until the page is left.
  }
  const { dataset } = document.documentElement;
  if (current.theme === 'system') delete dataset['theme'];
  else dataset['theme'] = current.theme;
  if (current.dense) dataset['dense'] = '';
  else delete dataset['dense'];
  for (const listener of listeners) listener(current);
}

/** The settings; renders again when they change. */
export function useSettings(): Settings {
  const [value, setValue] = useState(current);
  useEffect(() => {
    listeners.add(setValue);
    return () => void listeners.delete(setValue);
  }, []);
  return value;
}
