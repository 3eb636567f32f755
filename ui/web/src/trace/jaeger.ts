/**
 * Traces as Jaeger's API answers them and its UI saves them, `{"data": [{traceID, spans, processes}]}`, made into Zipkin's
 * spans: `docs/jaeger.md` has the mapping, which is the server's of what Jaeger's clients send.
 */
import type { Endpoint, Span } from '../api';

/** Characters that tags of processes may take when each of their spans has them: a short file could ask for any number. */
const REPEATED_MAX = 64 << 20;

/** Of what is not as it should be, so much is told. */
const TOLD_MAX = 60;

const words = {
  told: (where: string, expected: string, given: string) => `${where}: expected ${expected}, got ${given}`,
  nothing: 'nothing',
  list: 'a list',
  object: 'an object',
  text: 'text',
  micros: 'a whole number of microseconds',
  id: (digits: number) => `up to ${digits} hexadecimal digits that are not all zero`,
  process: 'the name of one of the processes',
  empty: 'The file has no spans',
  refused: (reason: string) => `The file is no trace, but what Jaeger said instead of one: ${reason}`,
  repeated: (where: string) => `${where}: tags of processes take too much when each of their spans has them`,
};

type Fields = Record<string, unknown>;

interface Tag {
  key: string;
  value: unknown;
}

/** Who reported spans. */
interface Process {
  endpoint: Endpoint;
  tags: Record<string, string>;
  /** Characters of its tags. */
  size: number;
}

interface Reference {
  isChild: boolean;
  traceId: string;
  spanId: string;
}

const KINDS = new Map<unknown, NonNullable<Span['kind']>>([
  ['client', 'CLIENT'],
  ['server', 'SERVER'],
  ['producer', 'PRODUCER'],
  ['consumer', 'CONSUMER'],
]);

export function isJaeger(file: unknown): file is Fields {
  return isFields(file) && 'data' in file && !('resourceSpans' in file);
}

/** All spans of a file. Throws what is wrong with it, and where. */
export function spansOfJaeger(file: Fields): Span[] {
  const { data, errors } = file;
  const [refusal] = Array.isArray(errors) ? (errors as unknown[]) : [];
  if (isFields(refusal) && (data == null || (Array.isArray(data) && data.length === 0))) throw new Error(words.refused(shown(refusal['msg'])));
  const converter = new Converter();
  listOf(data, 'data').forEach((trace, index) => converter.trace(trace, `data[${index}]`));
  if (converter.spans.length === 0) throw new Error(words.empty);
  return converter.spans;
}

class Converter {
  readonly spans: Span[] = [];
  #repeated = 0;

  trace(given: unknown, at: string): void {
    const { processes = {}, spans } = fieldsOf(given, at);
    const known = new Map(Object.entries(fieldsOf(processes, `${at}.processes`)).map(([name, process]) => [name, processOf(process, `${at}.processes.${name}`)]));
    listOf(spans, `${at}.spans`).forEach((span, index) => this.#span(span, known, `${at}.spans[${index}]`));
  }

  #span(given: unknown, known: ReadonlyMap<string, Process>, at: string): void {
    const span = fieldsOf(given, at);
    const process = processOfSpan(span, known, at);
    if ((this.#repeated += process.size) > REPEATED_MAX) throw new Error(words.repeated(at));
    const traceId = traceIdOf(span['traceID'], `${at}.traceID`);
    const timestamp = microsOf(span['startTime'], `${at}.startTime`);
    const duration = microsOf(span['duration'], `${at}.duration`);
    const { kind, remote, tags } = ownTags(tagsOf(span['tags'], `${at}.tags`));
    const { parentId, links } = parentOf(span, traceId, at);
    const annotations = listOf(span['logs'] ?? [], `${at}.logs`).map((log, index) => annotationOf(log, timestamp, `${at}.logs[${index}]`));
    const warnings = listOf(span['warnings'] ?? [], `${at}.warnings`);
    this.spans.push({
      traceId,
      ...(parentId && { parentId }),
      id: spanIdOf(span['spanID'], `${at}.spanID`),
      ...(kind && { kind }),
      name: textOf(span['operationName'] ?? '', `${at}.operationName`),
      timestamp,
      ...(duration >= 0 && { duration: Math.max(1, duration) }),
      localEndpoint: process.endpoint,
      ...(Object.keys(remote).length > 0 && { remoteEndpoint: remote }),
      tags: {
        ...process.tags,
        ...tags,
        ...(links.length > 0 && { 'otel.links': JSON.stringify(links) }),
        ...(warnings.length > 0 && { 'jaeger.warnings': JSON.stringify(warnings) }),
      },
      ...(annotations.length > 0 && { annotations }),
    });
  }
}

function processOfSpan(span: Fields, known: ReadonlyMap<string, Process>, at: string): Process {
  if (span['process'] != null) return processOf(span['process'], `${at}.process`);
  const process = known.get(textOf(span['processID'], `${at}.processID`));
  return process ?? fail(`${at}.processID`, words.process, span['processID']);
}

function processOf(given: unknown, at: string): Process {
  const { serviceName, tags } = fieldsOf(given, at);
  const endpoint: Endpoint = { serviceName: textOf(serviceName, `${at}.serviceName`) };
  const kept = new Map<string, string>();
  let size = 0;
  for (const { key, value } of tagsOf(tags, `${at}.tags`)) {
    if ((key === 'ip' && setAddress(endpoint, value)) || (key === 'error' && isDenied(value))) continue;
    const text = valueText(value);
    kept.set(key, text);
    size += key.length + text.length;
  }
  return { endpoint, tags: Object.fromEntries(kept), size };
}

/** What tags say that Zipkin has fields for, and the others. */
function ownTags(given: readonly Tag[]): { kind: Span['kind']; remote: Endpoint; tags: Record<string, string> } {
  const remote: Endpoint = {};
  let kind: Span['kind'];
  const says = ({ key, value }: Tag): boolean => {
    switch (key) {
      case 'span.kind':
        kind = KINDS.get(value) ?? kind;
        return KINDS.has(value);
      case 'error':
        return isDenied(value);
      case 'peer.service':
        if (typeof value !== 'string' || value === '') return false;
        remote.serviceName = value;
        return value === value.toLowerCase();
      case 'peer.ipv4':
      case 'peer.ipv6':
        return setAddress(remote, value);
      case 'peer.port': {
        const port = Number(value);
        if (!Number.isInteger(port) || port < 1 || port > 65_535) return false;
        remote.port = port;
        return true;
      }
      default:
        return false;
    }
  };
  const others = given.filter((tag) => !says(tag));
  return { kind, remote, tags: Object.fromEntries(others.map(({ key, value }) => [key, valueText(value)])) };
}

/** As Jaeger: what the span says, else the first span of its trace that it refers to, as a child if it can. */
function parentOf(span: Fields, traceId: string, at: string): { parentId: string | undefined; links: object[] } {
  const references = listOf(span['references'] ?? [], `${at}.references`).map((given, index): Reference => {
    const where = `${at}.references[${index}]`;
    const { refType, traceID, spanID } = fieldsOf(given, where);
    return { isChild: refType !== 'FOLLOWS_FROM', traceId: traceIdOf(traceID, `${where}.traceID`), spanId: spanIdOf(spanID, `${where}.spanID`) };
  });
  const said = span['parentSpanID'];
  const own = references.filter((reference) => reference.traceId === traceId);
  const parentId = said == null || /^0*$/.test(String(said)) ? (own.find(({ isChild }) => isChild) ?? own[0])?.spanId : spanIdOf(said, `${at}.parentSpanID`);
  const others = references.filter((reference) => !(reference.isChild && reference.traceId === traceId && reference.spanId === parentId));
  const links = others.map((other) => ({ traceId: other.traceId, spanId: other.spanId, attributes: { 'opentracing.ref_type': other.isChild ? 'child_of' : 'follows_from' } }));
  return { parentId, links };
}

/** Its `event`, or else its `message`, with the other fields behind it; without either all fields. */
function annotationOf(given: unknown, spanBegins: number, at: string): { timestamp: number; value: string } {
  const { timestamp, fields } = fieldsOf(given, at);
  const tags = tagsOf(fields, `${at}.fields`);
  const named = (name: string) => tags.find(({ key, value }) => key === name && typeof value === 'string' && value !== '');
  const event = named('event') ?? named('message');
  const others = Object.fromEntries(tags.filter((tag) => tag !== event).map(({ key, value }) => [key, value]));
  const rest = JSON.stringify(others);
  const value = !event ? rest : tags.length === 1 ? String(event.value) : `${JSON.stringify(event.value)}:${rest}`;
  return { timestamp: timestamp == null ? spanBegins : microsOf(timestamp, `${at}.timestamp`) || spanBegins, value };
}

/** Whether it is an address: as text or, as early clients wrote it, as a number. */
function setAddress(endpoint: Endpoint, value: unknown): boolean {
  const text = typeof value === 'number' ? [24, 16, 8, 0].map((bits) => (value >>> bits) & 255).join('.') : String(value);
  if (/^(\d{1,3}\.){3}\d{1,3}$/.test(text) && text.split('.').every((part) => Number(part) < 256)) endpoint.ipv4 = text;
  else if (/^[\da-f.]*:[\da-f:.]*$/i.test(text)) endpoint.ipv6 = text;
  else return false;
  return true;
}

/** In Zipkin the key alone means an error. */
function isDenied(value: unknown): boolean {
  return String(value).toLowerCase() === 'false';
}

function valueText(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
}

function tagsOf(given: unknown, at: string): Tag[] {
  return listOf(given ?? [], at).map((tag, index) => {
    const { key, value } = fieldsOf(tag, `${at}[${index}]`);
    return { key: textOf(key, `${at}[${index}].key`), value };
  });
}

/** 64 bits where the high half is zero. */
function traceIdOf(given: unknown, at: string): string {
  const id = hexOf(given, 32, at).padStart(32, '0');
  return id.startsWith('0'.repeat(16)) ? id.slice(16) : id;
}

function spanIdOf(given: unknown, at: string): string {
  return hexOf(given, 16, at).padStart(16, '0');
}

function hexOf(given: unknown, digits: number, at: string): string {
  if (typeof given !== 'string' || given.length > digits || !/^0*[1-9a-f][\da-f]*$/i.test(given)) return fail(at, words.id(digits), given);
  return given.toLowerCase();
}

function microsOf(given: unknown, at: string): number {
  return Number.isSafeInteger(given) ? (given as number) : fail(at, words.micros, given);
}

function textOf(given: unknown, at: string): string {
  return typeof given === 'string' ? given : fail(at, words.text, given);
}

function listOf(given: unknown, at: string): unknown[] {
  return Array.isArray(given) ? (given as unknown[]) : fail(at, words.list, given);
}

function fieldsOf(given: unknown, at: string): Fields {
  return isFields(given) ? given : fail(at, words.object, given);
}

function isFields(given: unknown): given is Fields {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

function fail(at: string, expected: string, given: unknown): never {
  throw new Error(words.told(at, expected, shown(given)));
}

function shown(given: unknown): string {
  if (given === undefined) return words.nothing;
  const text = JSON.stringify(given) ?? String(given);
  return text.length > TOLD_MAX ? `${text.slice(0, TOLD_MAX)}…` : text;
}
