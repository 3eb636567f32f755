/**
 * The spans of a file that bear an identifier, as the file has them, whatever its format: what the server makes of a file
 * are rows, and their details stay here.
 */
import type { Span } from '../api';
import { unpacked } from './file-body';

/** How formats name a span's identifier: Zipkin, OpenTelemetry, Jaeger. */
const ID_FIELDS = ['id', 'spanId', 'spanID'];

/** More are not shown. */
const FOUND_MAX = 20;

export interface FileSpans {
  /** Those that are Zipkin's JSON of version 2. */
  spans: Span[];
  /** The others, as JSON. */
  others: string[];
}

/** Looks at everything in the file, without recursion: nesting may be deep. */
export function spansIn(file: unknown, spanId: string): FileSpans {
  const found: FileSpans = { spans: [], others: [] };
  const pending: unknown[] = [file];
  while (pending.length > 0 && found.spans.length + found.others.length < FOUND_MAX) {
    const value = pending.pop();
    if (typeof value !== 'object' || value === null) continue;
    if (!Array.isArray(value) && hasId(value, spanId)) {
      if (isZipkin(value)) found.spans.push(value);
      else found.others.push(JSON.stringify(value, null, 2));
      continue;
    }
    const inner: unknown[] = Object.values(value);
    for (let index = inner.length - 1; index >= 0; index--) pending.push(inner[index]);
  }
  return found;
}

function hasId(value: object, spanId: string): boolean {
  const given = ID_FIELDS.map((field) => (value as Record<string, unknown>)[field]).find((id) => typeof id === 'string');
  return typeof given === 'string' && given.toLowerCase().padStart(16, '0') === spanId;
}

function isZipkin(value: object): value is Span {
  const { traceId, id, tags = {}, annotations = [], binaryAnnotations } = value as Record<string, unknown>;
  const isPlain = typeof traceId === 'string' && typeof id === 'string' && binaryAnnotations === undefined;
  if (!isPlain || !Array.isArray(annotations) || typeof tags !== 'object' || tags === null || Array.isArray(tags)) return false;
  // Version 1 has the endpoint with each annotation instead of once.
  const isEvent = (event: unknown) => typeof event === 'object' && event !== null && 'value' in event && !('endpoint' in event);
  return annotations.every(isEvent) && Object.values(tags).every((tag) => typeof tag === 'string');
}

/** A file's JSON, plain or gzip. */
export async function readFile(file: Blob): Promise<unknown> {
  return new Response(await unpacked(file)).json();
}
