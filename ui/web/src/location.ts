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
  /** A trace from a file. */
  | { page: 'upload' }
  | { page: 'compare' }
  | { page: 'map' }
  | { page: 'services' }
  | { page: 'service'; serviceName: string }
  | { page: 'operation'; serviceName: string; spanName: string }
  | { page: 'deployments' }
  | { page: 'report'; deploymentId: string }
  | { page: 'objectives' }
  | { page: 'objective'; name: string }
  | { page: 'settings' }
  | { page: 'unknown' };

export interface Place {
  route: Route;
  /** The query, with its `?` unless it is empty. */
  search: string;
}

const CHANGED = 'tracehound:navigated';

/** Pages of one part; Zipkin's `dependency` is the map. */
const PAGES: Record<string, Route> = {
  '': { page: 'search' },
  'index.html': { page: 'search' },
  traceViewer: { page: 'upload' },
  compare: { page: 'compare' },
  dependency: { page: 'map' },
  map: { page: 'map' },
  services: { page: 'services' },
  deployments: { page: 'deployments' },
  slo: { page: 'objectives' },
  settings: { page: 'settings' },
};

/** The route of a path, below a base that ends with `/`. */
export function routeOf(pathname: string, base: string): Route {
  const path = pathname.startsWith(base) ? pathname.slice(base.length) : pathname;
  const parts = path.replace(/\/+$/, '').split('/').map(decode);
  const [first = '', second, third] = parts;
  if (parts.length === 1) return (Object.hasOwn(PAGES, first) && PAGES[first]) || { page: 'unknown' };
  if (first === 'services' && second && third && parts.length === 3) {
    return { page: 'operation', serviceName: second, spanName: third };
  }
  if (!second || parts.length > 2) return { page: 'unknown' };
  switch (first) {
    case 'traces':
      return { page: 'trace', traceId: normalTraceId(second) };
    case 'services':
      return { page: 'service', serviceName: second };
    case 'deployments':
      return { page: 'report', deploymentId: second };
    case 'slo':
      return { page: 'objective', name: second };
    default:
      return { page: 'unknown' };
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A path of parts that may hold anything, as names of operations do: each is escaped. */
export function pathOf(...parts: string[]): string {
  return parts.map(encodeURIComponent).join('/');
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
    history.replaceState({ scrollY: window.scrollY }, '');
    history.pushState(null, '', href(path));
    window.scrollTo(0, 0);
  } else {
    history.replaceState(null, '', href(path));
  }
  window.dispatchEvent(new Event(CHANGED));
}

/**
 * Changes parameters of the address and stays on the page; `null` takes one away. `replace` (zoom, selection) is not
 * a step of the back button, `push` (another question) is.
 */
export function changeParameters(changes: Record<string, string | null>, how: 'push' | 'replace' = 'replace'): void {
  const search = withParameters(location.search, changes);
  const path = location.pathname.slice(basePath().length);
  if (search === location.search) return;
  if (how === 'push') history.pushState(null, '', href(path + search));
  else history.replaceState(null, '', href(path + search));
  window.dispatchEvent(new Event(CHANGED));
}

/** A query with some of its parameters changed; `null` takes one away. */
export function withParameters(search: string, changes: Record<string, string | null>): string {
  const parameters = new URLSearchParams(search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) parameters.delete(name);
    else parameters.set(name, value);
  }
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

function here(): Place {
  return { route: routeOf(location.pathname, basePath()), search: location.search };
}

let stepped = false;

/** Whether the user came to the current place by the browser's back or forward, not by a link. */
export function wasStepped(): boolean {
  return stepped;
}

/** How far down the user was when a link led away from the current place. */
export function leftAt(): number {
  const state: unknown = history.state;
  return typeof state === 'object' && state !== null && 'scrollY' in state ? Number(state.scrollY) || 0 : 0;
}

/** The current place; renders again when it changes. */
export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const update = (event: Event) => {
      stepped = event.type === 'popstate';
      setPlace(here());
    };
    window.addEventListener('popstate', update);
    window.addEventListener(CHANGED, update);
    return () => {
      window.removeEventListener('popstate', update);
      window.removeEventListener(CHANGED, update);
    };
  }, []);
  return place;
}
