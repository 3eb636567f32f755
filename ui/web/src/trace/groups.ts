/**
 * Repeats: siblings of one name, more than a handful of them, which a timeline shows as one line until they are asked
 * for. This is where a query for every row of another query is seen.
 */
import type { Rows } from './view';

/** Up to so many of a name are shown one by one. */
export const ALIKE_MAX = 5;

export interface Groups {
  count: number;
  /** By row: its group, or -1. */
  of: Int32Array;
  /** By group: where its rows begin in `members`; one more for the end. */
  begin: Int32Array;
  /** Rows, group by group, in the order of the trace. */
  members: Int32Array;
  /** By group, microseconds. */
  min: Float64Array;
  median: Float64Array;
  max: Float64Array;
  /** By group: how many of them failed. */
  errors: Int32Array;
  /** By group: the row that took longest. */
  slowest: Int32Array;
}

/** Linear in the rows, but for sorting durations. */
export function groupsOf(rows: Rows): Groups {
  const siblings = new Int32Array(rows.count + 1);
  for (let row = 0; row < rows.count; row++) siblings[at(rows.parent, row) + 1]!++;
  const buckets = new Map<string, number[]>();
  for (let row = 0; row < rows.count; row++) {
    const parent = at(rows.parent, row);
    if (at(siblings, parent + 1) <= ALIKE_MAX) continue;
    const key = `${parent}/${at(rows.service, row)}/${at(rows.name, row)}`;
    const bucket = buckets.get(key);
    if (bucket) bucket.push(row);
    else buckets.set(key, [row]);
  }
  return describe(rows, [...buckets.values()].filter((bucket) => bucket.length > ALIKE_MAX));
}

function describe(rows: Rows, buckets: number[][]): Groups {
  const count = buckets.length;
  const groups: Groups = {
    count,
    of: new Int32Array(rows.count).fill(-1),
    begin: new Int32Array(count + 1),
    members: Int32Array.from(buckets.flat()),
    min: new Float64Array(count),
    median: new Float64Array(count),
    max: new Float64Array(count),
    errors: new Int32Array(count),
    slowest: new Int32Array(count),
  };
  buckets.forEach((bucket, group) => {
    groups.begin[group + 1] = at(groups.begin, group) + bucket.length;
    const durations = Float64Array.from(bucket, (row) => Math.max(0, at(rows.duration, row))).sort();
    groups.min[group] = at(durations, 0);
    groups.median[group] = at(durations, bucket.length >> 1);
    groups.max[group] = at(durations, bucket.length - 1);
    groups.slowest[group] = bucket.reduce((a, b) => (at(rows.duration, b) > at(rows.duration, a) ? b : a));
    for (const row of bucket) {
      groups.of[row] = group;
      groups.errors[group]! += at(rows.error, row);
    }
  });
  return groups;
}

export function groupBuffers(groups: Groups): ArrayBuffer[] {
  const columns = Object.values(groups).filter((column) => typeof column !== 'number');
  return columns.map((column) => column.buffer as ArrayBuffer);
}

/** An entry of a column. Every index that is used here is of a row that there is. */
export function at(column: Int32Array | Float64Array | Uint8Array, index: number): number {
  return column[index] as number;
}
