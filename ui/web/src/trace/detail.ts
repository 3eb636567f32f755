/** What is said of one row, apart from how it looks. */
import type { Endpoint, RowSpans, Span } from '../api';
import { text } from './text';

export interface Event {
  /** Microseconds since the epoch, clocks corrected. */
  timestamp: number;
  text: string;
  /** Follows from the span's begin, end and kind; not reported as an annotation. */
  derived: boolean;
  serviceName: string | undefined;
}

/** Everything that has a time in a row, in order. */
export function eventsOf({ spans, skew, skews }: RowSpans): Event[] {
  const events = spans.flatMap((span, index) => spanEvents(span, skews[index] ?? skew));
  return events.sort((a, b) => a.timestamp - b.timestamp);
}

function spanEvents(span: Span, skew: number): Event[] {
  const { kind, timestamp, duration } = span;
  const serviceName = span.localEndpoint?.serviceName;
  const events: Event[] = [];
  const add = (at: number, words: string, derived: boolean) => events.push({ timestamp: at + skew, text: words, derived, serviceName });
  if (timestamp !== undefined) add(timestamp, kind ? text.begin[kind] : text.beginAny, true);
  for (const annotation of span.annotations ?? []) add(annotation.timestamp, annotation.value, false);
  if (timestamp !== undefined && duration !== undefined) {
    add(timestamp + duration, kind ? text.end[kind] : text.endAny, true);
  }
  return events;
}

export interface Tag {
  key: string;
  value: string;
  /** Who reported it, where more than one reported something. */
  serviceName: string | undefined;
}

/** The tags of all of a row's spans, the error first. The same from both sides is one. */
export function tagsOf(spans: readonly Span[]): Tag[] {
  const tags = spans.flatMap((span) =>
    Object.entries(span.tags ?? {}).map(([key, value]) => {
      const serviceName = spans.length > 1 ? span.localEndpoint?.serviceName : undefined;
      return { key, value, serviceName };
    }),
  );
  const distinct = new Map(tags.map((tag) => [`${tag.key}\n${tag.value}`, tag]));
  return [...distinct.values()].sort(
    (a, b) => Number(b.key === 'error') - Number(a.key === 'error') || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0),
  );
}

/** `checkout 10.0.0.7:8080`. */
export function formatEndpoint(endpoint: Endpoint | undefined): string {
  if (!endpoint) return '–';
  const { serviceName, ipv4, ipv6, port } = endpoint;
  const host = ipv4 ?? (ipv6 && port ? `[${ipv6}]` : ipv6);
  const address = [host, port].filter((part) => part !== undefined).join(':');
  return [serviceName, address].filter((part) => part).join(' ') || '–';
}
