/**
 * Keys that do something, by themselves or one after another (`g t`). A page says which it has while it is shown; the
 * help lists all of them. None of them works while somebody types, nor where the settings switch them off.
 */
import { useEffect, useRef } from 'preact/hooks';

import { settings } from './settings';

export interface Shortcut {
  /** As `KeyboardEvent.key` has them, with a blank between those of a sequence: `m`, `ArrowDown`, `g t`. */
  keys: string[];
  /** What it does, for the help. */
  text: string;
  run: () => void;
}

export interface ShortcutGroup {
  title: string;
  shortcuts: Shortcut[];
}

/** A sequence is over when its next key does not come within this time. */
const SEQUENCE_MS = 1000;

const groups: ShortcutGroup[] = [];
let begun = { key: '', at: 0 };

/** Every shortcut that works now, the page's own last. */
export function shortcutGroups(): readonly ShortcutGroup[] {
  return groups;
}

/** Makes shortcuts work while the component that calls this is shown. The functions may be new every time. */
export function useShortcuts(title: string, shortcuts: Shortcut[]): void {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  useEffect(() => {
    const group: ShortcutGroup = {
      title,
      get shortcuts() {
        return latest.current;
      },
    };
    groups.push(group);
    return () => void groups.splice(groups.indexOf(group), 1);
  }, [title]);
}

/** Whether a key belongs to what is typed into, not to the page. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, select, textarea, [contenteditable], dialog') !== null;
}

/** The shortcut of a key, given the one before it; the newest group wins. */
export function shortcutOf(groups: readonly ShortcutGroup[], before: string, key: string): Shortcut | undefined {
  const all = groups.toReversed().flatMap((group) => group.shortcuts);
  const sequence = before === '' ? undefined : all.find(({ keys }) => keys.includes(`${before} ${key}`));
  return sequence ?? all.find(({ keys }) => keys.includes(key));
}

function onKeyDown(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey) return;
  if (isTyping(event.target) || !settings().shortcuts) return;
  const before = event.timeStamp - begun.at < SEQUENCE_MS ? begun.key : '';
  const shortcut = shortcutOf(groups, before, event.key);
  begun = shortcut ? { key: '', at: 0 } : { key: event.key, at: event.timeStamp };
  if (!shortcut) return;
  event.preventDefault();
  shortcut.run();
}

/** Begins to listen; once, at start. */
export function listenToKeys(): void {
  window.addEventListener('keydown', onKeyDown);
}
