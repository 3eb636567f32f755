/** What the panel beside the rows says of one of them, apart from how it looks. */
import type { Endpoint, Kind, Span } from '../api';
import type { Row } from './tree';

export interface Event {
  /** Microseconds since the epoch. */
  timestamp: number;
  text: string;
  /** Follows from the span's begin, end and kind; not reported as an annotation. */
  derived: boolean;
  serviceName: string | undefined;
}

const BEGIN: Record<Kind, string> = {
  CLIENT: 'Client start',
  SERVER: 'Server start',
  PRODUCER: 'Producer start',
  CONSUMER: 'Consumer start',
};

const END: Record<Kind, string> = {
  CLIENT: 'Client finish',
  SERVER: 'Server finish',
  PRODUCER: 'Producer finish',
  CONSUMER: 'Consumer finish',
};

/** Everything that has a time in a row, in order. */
export function eventsOf(row: Row): Event[] {
  return row.spans.flatMap(spanEvents).sort((a, b) => a.timestamp - b.timestamp);
}

function spanEvents(span: Span): Event[] {
  const { kind, timestamp, duration } = span;
  const serviceName = span.localEndpoint?.serviceName;
  const events: Event[] = [];
  if (timestamp !== undefined) {
    events.push({ timestamp, text: kind ? BEGIN[kind] : 'Start', derived: true, serviceName });
  }
  for (const { timestamp, value } of span.annotations ?? []) {
    events.push({ timestamp, text: value, derived: false, serviceName });
  }
  if (timestamp !== undefined && duration !== undefined) {
    events.push({ timestamp: timestamp + duration, text: kind ? END[kind] : 'Finish', derived: true, serviceName });
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
export function tagsOf(row: Row): Tag[] {
  const tags = row.spans.flatMap((span) =>
    Object.entries(span.tags ?? {}).map(([key, value]) => {
      const serviceName = row.spans.length > 1 ? span.localEndpoint?.serviceName : undefined;
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
