/** Asking the server: one way to send a question, to read the answer, and to say what went wrong. */

/** The server said no, or said nothing. */
export class ApiError extends Error {
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** As the API writes an answer: what is unset is absent, where the document that types are made from allows `null` too. */
export type Written<T> = { [Field in keyof T]: Written<Exclude<T[Field], null>> };

/** An answer, and whether the server considered everything that it has. */
export interface Answer<T> {
  body: T;
  /** Why the server may not have looked at everything; `null` where it has. */
  missing: string | null;
  /** The cursor of the next page, for the parameter `after`; `null` where nothing comes after this one. */
  next: string | null;
}

/** Told to the window when a question found no server, and when there is one again. */
export const UNANSWERED = 'tracehound:unanswered';
export const ANSWERED = 'tracehound:answered';

/** A server's message longer than this is a page of something else. */
const MESSAGE_CHARACTERS_MAX = 500;

/** The address of a part of the API, relative to the page's base so that proxies need no rules of their own. */
export function apiUrl(path: string, parameters?: URLSearchParams | Record<string, string>): string {
  const url = new URL(`api/v2/${path}`, document.baseURI);
  if (parameters) url.search = new URLSearchParams(parameters).toString();
  return url.href;
}

/** The body of a good answer. */
export async function getJson<T>(url: string, signal: AbortSignal): Promise<T> {
  return (await getAnswer<T>(url, signal)).body;
}

/** A good answer with what the server says of its completeness. */
export async function getAnswer<T>(url: string, signal: AbortSignal): Promise<Answer<T>> {
  const response = await send(url, { signal });
  return {
    body: await readJson<T>(response, signal),
    missing: missingOf(response.headers.get('tracehound-completeness')),
    next: nextOf(response.headers.get('link')),
  };
}

/** Sends a JSON body; the body of the answer, `undefined` where it has none. */
export async function sendJson<T>(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', url: string, body?: unknown): Promise<T> {
  const response = await send(url, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** An answer with a good status. */
export async function send(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers: { accept: 'application/json', ...init.headers } });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    // Of a worker nobody listens; the page hears it from its own questions.
    globalThis.dispatchEvent(new Event(UNANSWERED));
    throw new ApiError(0, 'The server does not answer.');
  }
  if (response.ok) return response;
  throw new ApiError(response.status, messageOf(await response.text(), response));
}

/** What a refusal says: the rollout API's `{"error": …}`, or plain text as Zipkin answers. */
function messageOf(text: string, response: Response): string {
  const trimmed = text.trim().slice(0, MESSAGE_CHARACTERS_MAX);
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === 'string') return error;
  } catch {
    // Not JSON: Zipkin's own endpoints refuse in plain text.
  }
  return trimmed || response.statusText || `status ${response.status}`;
}

async function readJson<T>(response: Response, signal: AbortSignal): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError(response.status, 'The answer is not JSON: is something between here and the server?');
  }
}

/** The reason in `partial; reason="…"`. */
export function missingOf(completeness: string | null): string | null {
  if (!completeness?.startsWith('partial')) return null;
  return /reason="(.*)"/.exec(completeness)?.[1] || 'the server does not say why.';
}

/** The cursor in `<…?after=CURSOR>; rel="next"`. Only it is taken: a proxy may serve the address by another name. */
export function nextOf(link: string | null): string | null {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next"?(?![\w-])/.exec(link ?? '')?.[1];
  return target === undefined ? null : new URLSearchParams(/\?([^#]*)/.exec(target)?.[1] ?? '').get('after');
}
