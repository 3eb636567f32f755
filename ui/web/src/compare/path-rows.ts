/** The operations of a comparison as call paths: in the order in which one pair of traces calls them. */
import type { Finding, OperationComparison, Report, TraceDiff } from '../api/schema';
import { operationKey } from '../report/names';

export interface PathRow {
  operation: OperationComparison;
  /** Callers above it; absent of operations that the pair of traces lacks. */
  depth?: number;
  /** The finding that began here. */
  finding?: Finding;
  /** Slower or faster, and something below it is where a finding began. */
  inherits: boolean;
  changed: boolean;
}

/** Each operation once, where it first comes; without a pair of traces in the order of the report. */
export function pathRows({ operations, findings }: Report, pair: TraceDiff | undefined): PathRow[] {
  const left = new Map(operations.map((operation) => [operationKey(operation), operation]));
  const origins = new Map<string, Finding>();
  for (const finding of findings) if (!origins.has(operationKey(finding.origin))) origins.set(operationKey(finding.origin), finding);
  const rows: PathRow[] = [];
  const above = aboveOrigins(pair, origins);
  const add = (operation: OperationComparison, depth?: number) => {
    const key = operationKey(operation);
    const finding = origins.get(key);
    const moved = operation.classification === 'high' || operation.classification === 'low';
    rows.push({
      operation,
      inherits: moved && !finding && above.has(key),
      changed: moved || finding !== undefined,
      ...(depth !== undefined && { depth }),
      ...(finding && { finding }),
    });
  };
  for (const span of pair?.spans ?? []) {
    const key = operationKey(span);
    const operation = left.get(key);
    if (operation && left.delete(key)) add(operation, span.depth);
  }
  for (const operation of left.values()) add(operation);
  return rows;
}

/** Operations that call, perhaps through others, one where a finding began. */
function aboveOrigins(pair: TraceDiff | undefined, origins: ReadonlyMap<string, Finding>): Set<string> {
  const above = new Set<string>();
  const spans = pair?.spans ?? [];
  const marked = new Uint8Array(spans.length);
  // Parents come before their children: from the end, each hands on what it has below.
  for (let index = spans.length - 1; index >= 0; index--) {
    const span = spans[index];
    if (!span) continue;
    const key = operationKey(span);
    if (marked[index]) above.add(key);
    if (span.parent != null && (marked[index] || origins.has(key))) marked[span.parent] = 1;
  }
  return above;
}
