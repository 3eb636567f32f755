/** A link to a page of the app: followed without loading, unless the user wants it in another tab. */
import type { ComponentChildren } from 'preact';

import { href, navigate } from '../location';

interface Properties {
  /** Relative to the base. */
  path: string;
  class?: string;
  /** Leads to the page that is shown. */
  current?: boolean;
  /** Its name, where what is seen of it may be a picture only. */
  label?: string;
  children: ComponentChildren;
}

export function Link({ path, class: className, current, label, children }: Properties) {
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(path);
  };
  return (
    <a href={href(path)} class={className} aria-label={label} aria-current={current ? 'page' : undefined} onClick={follow}>
      {children}
    </a>
  );
}
