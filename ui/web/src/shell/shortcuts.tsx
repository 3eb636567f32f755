/** Keys that work on every page, and the dialog that lists all that work now. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { type ShortcutGroup, shortcutGroups, useShortcuts } from '../keyboard';
import { navigate } from '../location';
import { copyText } from './copy-button';
import { text } from './text';

const HELP = 'tracehound:help';
export const FIND = 'tracehound:find';

/** Where `g` and a letter go. */
export const PLACES: [string, string, string][] = [
  ['g t', '', text.traces],
  ['g d', 'deployments', text.deployments],
  ['g s', 'services', text.services],
  ['g m', 'map', text.map],
  ['g o', 'slo', text.objectives],
];

export function showHelp(): void {
  window.dispatchEvent(new Event(HELP));
}

export function useGlobalShortcuts(): void {
  useShortcuts(text.everywhere, [
    { keys: ['?'], text: text.showHelp, run: showHelp },
    { keys: ['/'], text: text.findAnything, run: () => window.dispatchEvent(new Event(FIND)) },
    { keys: ['y'], text: text.copyLink, run: () => void copyLink() },
    ...PLACES.map(([keys, path, name]) => ({ keys: [keys], text: text.goTo(name), run: () => navigate(path) })),
  ]);
}

let shared: (() => string) | undefined;

/**
 * Says what a copied link is while the component that calls this is shown: a page whose time moves on puts the moment
 * into it. Without one it is the address.
 */
export function useSharedAddress(address: () => string): void {
  const latest = useRef(address);
  latest.current = address;
  useEffect(() => {
    const own = () => latest.current();
    shared = own;
    return () => {
      if (shared === own) shared = undefined;
    };
  }, []);
}

/** Copies the address of what is shown. */
export async function copyLink(address: string = shared?.() ?? location.href): Promise<void> {
  await copyText(address, text.linkCopied);
}

export function HelpDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [groups, setGroups] = useState<ShortcutGroup[]>([]);
  useEffect(() => {
    const show = () => {
      setGroups([...shortcutGroups()]);
      dialog.current?.showModal();
    };
    window.addEventListener(HELP, show);
    return () => window.removeEventListener(HELP, show);
  }, []);
  return (
    <dialog ref={dialog} class="help-dialog" aria-label={text.shortcuts}>
      <h2>{text.shortcuts}</h2>
      {groups.map(({ title, shortcuts }) => (
        <section key={title}>
          <h3>{title}</h3>
          <dl>
            {shortcuts.map((shortcut) => (
              <div key={shortcut.keys[0]} class="pair">
                <dt>
                  {shortcut.keys.map((keys) => (
                    <kbd key={keys}>{keys}</kbd>
                  ))}
                </dt>
                <dd>{shortcut.text}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <form method="dialog">
        <button type="submit">{text.close}</button>
      </form>
    </dialog>
  );
}
