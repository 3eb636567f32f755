/** The operations of a trace: how often each was called, how long it took, and what the request waited for. */
import { at } from './groups';
import type { Rows } from './view';

export interface Operation {
  service: number;
  name: number;
  calls: number;
  errors: number;
  /** Microseconds, of all calls together: those at the same time count each. */
  total: number;
  self: number;
  critical: number;
  longest: number;
  /** The call that took longest. */
  slowest: number;
}

/** Of the rows from `first` to before `last` whose service is not hidden; most time of their own first. */
export function operationsOf(rows: Rows, first: number, last: number, hidden: Uint8Array): Operation[] {
  const operations = new Map<string, Operation>();
  for (let row = first; row < last; row++) {
    const [service, name] = [at(rows.service, row), at(rows.name, row)];
    if (hidden[service]) continue;
    const key = `${service}/${name}`;
    let operation = operations.get(key);
    if (!operation) {
      operation = { service, name, calls: 0, errors: 0, total: 0, self: 0, critical: 0, longest: -1, slowest: row };
      operations.set(key, operation);
    }
    add(operation, rows, row);
  }
  return [...operations.values()].sort((a, b) => b.self - a.self || b.total - a.total);
}

function add(operation: Operation, rows: Rows, row: number): void {
  const duration = at(rows.duration, row);
  operation.calls += 1;
  operation.errors += at(rows.error, row);
  operation.total += Math.max(0, duration);
  operation.self += at(rows.self, row);
  operation.critical += at(rows.critical, row);
  if (duration > operation.longest) {
    operation.longest = duration;
    operation.slowest = row;
  }
}
