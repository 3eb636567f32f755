/** A button that copies something, and says that it did. */
import type { ComponentChildren } from 'preact';

import { announce } from './announcer';
import { text } from './text';

/** Copies words, and says so; `done` is what is said. */
export async function copyText(words: string, done: string = text.copied): Promise<void> {
  try {
    await navigator.clipboard.writeText(words);
    announce(done);
  } catch {
    announce(text.notCopied);
  }
}

interface Properties {
  /** What is copied; made when it is asked for. */
  words: () => string;
  /** The name of the button where it says more than what it shows. */
  label?: string;
  children?: ComponentChildren;
}

export function CopyButton({ words, label, children = text.copy }: Properties) {
  return (
    <button type="button" aria-label={label} onClick={() => void copyText(words())}>
      {children}
    </button>
  );
}
