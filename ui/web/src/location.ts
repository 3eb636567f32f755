/**
 * Where the user is. Everything that changes what is seen is in the address, and nothing else is: a link, a reload
 * and the back button show the same.
 *
 * Paths are relative to the page's base, which the server writes: `traces/1` is `/zipkin/traces/1` by default.
 */
import { useEffect, useState } from 'preact/hooks';

export type Route =
  | { page: 'search' }
  | { page: 'trace'; traceId: string }
  /** An address of Zipkin's that has no page here yet. */
  | { page: 'later'; name: string }
  | { page: 'unknown' };

export interface Place {
  route: Route;
  /** The query, with its `?` unless it is empty. */
  search: string;
}

const CHANGED = 'tracehound:navigated';

/** The route of a path, below a base that ends with `/`. */
export function routeOf(pathname: string, base: string): Route {
  const path = pathname.startsWith(base) ? pathname.slice(base.length) : pathname;
  if (path === '' || path === 'index.html') return { page: 'search' };
  if (path === 'dependency') return { page: 'later', name: 'Dependencies' };
  if (path === 'traceViewer') return { page: 'later', name: 'Uploaded traces' };
  const [first, second, ...more] = path.split('/');
  if (first === 'traces' && second && more.every((part) => part === '')) {
    return { page: 'trace', traceId: normalTraceId(decode(second)) };
  }
  return { page: 'unknown' };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** As people paste them: blanks around, upper case. */
export function normalTraceId(text: string): string {
  return text.trim().toLowerCase();
}

/** 64 or 128 bits in hexadecimal, leading zeros left out or not. */
export function isTraceId(text: string): boolean {
  return /^[0-9a-f]{1,32}$/.test(text) && !/^0+$/.test(text);
}

/** The path of the page's base, which ends with `/`. */
export function basePath(): string {
  return new URL(document.baseURI).pathname;
}

/** The whole path of one that is relative to the base. */
export function href(path: string): string {
  return basePath() + path;
}

/** Goes to a path relative to the base. `replace` for what the back button should not undo step by step. */
export function navigate(path: string, how: 'push' | 'replace' = 'push'): void {
  if (how === 'push') {
    history.pushState(null, '', href(path));
    window.scrollTo(0, 0);
  } else {
    history.replaceState(null, '', href(path));
  }
  window.dispatchEvent(new Event(CHANGED));
}

function here(): Place {
  return { route: routeOf(location.pathname, basePath()), search: location.search };
}

/** The current place; renders again when it changes. */
export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const update = () => setPlace(here());
    window.addEventListener('popstate', update);
    window.addEventListener(CHANGED, update);
    return () => {
      window.removeEventListener('popstate', update);
      window.removeEventListener(CHANGED, update);
    };
  }, []);
  return place;
}
