/** Who calls an operation and what it calls, out of spans of traces that have it. Durations are microseconds. */
import type { Span } from '../api';

export interface Around {
  /** Spans of the operation. */
  requests: number;
  callers: Neighbour[];
  callees: Neighbour[];
  /** Requests that no traced caller made. */
  fromOutside: number;
}

export interface Neighbour {
  serviceName: string;
  spanName: string;
  calls: number;
  /** Of calls that have a duration. */
  mean?: number;
}

interface Sum {
  serviceName: string;
  spanName: string;
  calls: number;
  timed: number;
  duration: number;
}

const serviceOf = (span: Span | undefined) => span?.localEndpoint?.serviceName ?? '';

const isCall = ({ kind }: Span) => kind === 'CLIENT' || kind === 'PRODUCER';

/** Which span is part of which; a shared span has the identifier of the call that it answers. */
class TraceSpans {
  readonly #parents = new Map<Span, Span>();
  readonly #children = new Map<Span, Span[]>();

  constructor(spans: readonly Span[]) {
    const byId = new Map<string, Span[]>();
    for (const span of spans) add(byId, span.id, span);
    for (const span of spans) {
      const parent = parentOf(span, byId);
      if (!parent) continue;
      this.#parents.set(span, parent);
      add(this.#children, parent, span);
    }
  }

  parent(span: Span): Span | undefined {
    return this.#parents.get(span);
  }

  children(span: Span): readonly Span[] {
    return this.#children.get(span) ?? [];
  }
}

/** The call that it answers, or the span that it is part of. */
function parentOf(span: Span, byId: ReadonlyMap<string, Span[]>): Span | undefined {
  const call = isCall(span) ? undefined : byId.get(span.id)?.find(isCall);
  if (call) return call;
  const candidates = (span.parentId === undefined ? [] : (byId.get(span.parentId) ?? [])).filter((other) => other !== span);
  return candidates.find((other) => serviceOf(other) === serviceOf(span) && !isCall(other)) ?? candidates.find(isCall) ?? candidates[0];
}

function add<Key>(map: Map<Key, Span[]>, key: Key, span: Span): void {
  const known = map.get(key);
  if (known) known.push(span);
  else map.set(key, [span]);
}

export function aroundOperation(traces: readonly (readonly Span[])[], serviceName: string, spanName: string): Around {
  const callers = new Map<string, Sum>();
  const callees = new Map<string, Sum>();
  let [requests, fromOutside] = [0, 0];
  for (const spans of traces) {
    const trace = new TraceSpans(spans);
    for (const span of spans) {
      if (serviceOf(span) !== serviceName || (span.name ?? '') !== spanName) continue;
      requests += 1;
      const caller = trace.parent(span);
      if (caller) count(callers, caller, askedOf(trace, caller));
      else fromOutside += 1;
      for (const call of isCall(span) ? [span] : callsOf(trace, span)) {
        const answer = trace.children(call)[0];
        const name = serviceOf(answer) || call.remoteEndpoint?.serviceName || '';
        count(callees, call, { serviceName: name, spanName: answer?.name ?? call.name ?? '' });
      }
    }
  }
  return { requests, fromOutside, callers: sorted(callers), callees: sorted(callees) };
}

/** The operation that a call is made for: the nearest of the same service that answers somebody. */
function askedOf(trace: TraceSpans, call: Span): Pick<Sum, 'serviceName' | 'spanName'> {
  const serviceName = serviceOf(call);
  const seen = new Set<Span>();
  let span: Span | undefined = call;
  let named = call;
  while (span && serviceOf(span) === serviceName && !seen.has(span)) {
    seen.add(span);
    named = span;
    if (span.kind === 'SERVER' || span.kind === 'CONSUMER') break;
    span = trace.parent(span);
  }
  return { serviceName, spanName: named.name ?? '' };
}

/** The calls below a span: its own, those of local work that it does, and what others answer it without one. */
function callsOf(trace: TraceSpans, span: Span): Span[] {
  const calls: Span[] = [];
  const seen = new Set<Span>([span]);
  const waiting = [span];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    for (const child of trace.children(next)) {
      if (seen.has(child)) continue;
      seen.add(child);
      if (isCall(child) || serviceOf(child) !== serviceOf(span)) calls.push(child);
      else waiting.push(child);
    }
  }
  return calls;
}

function count(sums: Map<string, Sum>, { duration }: Span, { serviceName, spanName }: Pick<Sum, 'serviceName' | 'spanName'>): void {
  const key = `${serviceName}\n${spanName}`;
  const sum = sums.get(key) ?? { serviceName, spanName, calls: 0, timed: 0, duration: 0 };
  sum.calls += 1;
  if (duration !== undefined) {
    sum.timed += 1;
    sum.duration += duration;
  }
  sums.set(key, sum);
}

/** Those with the most time first. */
function sorted(sums: Map<string, Sum>): Neighbour[] {
  return [...sums.values()]
    .sort((a, b) => b.duration - a.duration || b.calls - a.calls)
    .map(({ serviceName, spanName, calls, timed, duration }) => ({ serviceName, spanName, calls, ...(timed > 0 && { mean: duration / timed }) }));
}
