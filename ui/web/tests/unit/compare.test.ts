/** Two traces as rows, two groups of traces as searches, operations as call paths. */
import { describe, expect, it } from 'vitest';

import type { Span } from '../../src/api';
import type { OperationComparison, Report, SpanDiff, TraceDiff } from '../../src/api/schema';
import { cohortsOf, parametersOf, searchOf } from '../../src/compare/cohorts';
import { pairRows, unmatchedShare } from '../../src/compare/pair-rows';
import { pathRows } from '../../src/compare/path-rows';

const NOTHING = new Set<number>();

/** `[begin, duration]` of either side, or nothing. */
type Times = [number, number] | undefined;

interface Given {
  name: string;
  parent?: number;
  a?: Times;
  b?: Times;
  failsInB?: boolean;
  self?: number;
}

/** A diff and the spans of both traces. */
function traces(given: Given[]): [TraceDiff, Span[], Span[]] {
  const [a, b]: Span[][] = [[], []];
  const depths: number[] = [];
  const spans = given.map(({ name, parent, a: inA, b: inB, failsInB = false, self = 0 }, index): SpanDiff => {
    const id = index.toString(16).padStart(16, '0');
    const side = (times: Times, into: Span[] | undefined, error: boolean) => {
      if (!times) return undefined;
      into?.push({ traceId: '1', id, kind: 'SERVER', timestamp: 1_000_000 + times[0], duration: times[1] });
      return { id, duration: times[1], pathTime: 0, error };
    };
    const depth = parent === undefined ? 0 : (depths[parent] ?? 0) + 1;
    depths.push(depth);
    const [baseline, candidate] = [side(inA, a, false), side(inB, b, failsInB)];
    return {
      depth,
      serviceName: name,
      spanName: 'get',
      spanKind: 'SERVER',
      in: baseline && candidate ? 'both' : baseline ? 'baseline' : 'candidate',
      pathTimeChange: 0,
      selfTimeChange: self,
      ...(parent !== undefined && { parent }),
      ...(baseline && { baseline }),
      ...(candidate && { candidate }),
    };
  });
  const side = { traceId: '1', spanCount: spans.length, cutMicros: 0 };
  const diff: TraceDiff = {
    baseline: { ...side, duration: 10_000 },
    candidate: { ...side, duration: 10_000 },
    change: 0,
    totals: { both: 0, baselineOnly: 0, candidateOnly: 0 },
    operations: [],
    spans,
  };
  return [diff, a ?? [], b ?? []];
}

const rowsOf = (given: Given[], open: ReadonlySet<number> = NOTHING) => pairRows(...traces(given), open);
const words = (given: Given[], open?: ReadonlySet<number>) => Object.fromEntries(rowsOf(given, open).map(({ span, words }) => [span.serviceName, words]));

describe('two traces', () => {
  it('tell what only one of them has', () => {
    expect(words([{ name: 'root', a: [0, 10_000], b: [0, 10_000] }, { name: 'old', parent: 0, a: [0, 10] }, { name: 'new', parent: 0, b: [0, 10] }])).toEqual({
      root: [],
      old: ['removed'],
      new: ['added'],
    });
  });

  it('tell calls that now run one after the other', () => {
    const rows = rowsOf([
      { name: 'root', a: [0, 10_000], b: [0, 18_000] },
      { name: 'one', parent: 0, a: [100, 8000], b: [100, 8000] },
      { name: 'two', parent: 0, a: [200, 8000], b: [8200, 8000] },
    ]);
    expect(rows.map(({ a, b }) => [a.ordering, b.ordering])).toEqual([
      [undefined, undefined],
      ['parallel', 'serial'],
      ['parallel', 'serial'],
    ]);
    expect(rows.map((row) => row.words)).toEqual([['inherits'], ['serialized'], ['serialized']]);
  });

  it('know a call beside one that began long before', () => {
    const times: [number, number][] = [[0, 9000], [100, 10], [5000, 10], [9500, 10]];
    const rows = rowsOf([{ name: 'root', a: [0, 10_000] }, ...times.map((a, index): Given => ({ name: `call ${index}`, parent: 0, a }))]);
    expect(rows.slice(1).map(({ a }) => a.ordering)).toEqual(['parallel', 'parallel', 'parallel', 'serial']);
  });

  it('are one row of calls of the same kind until that is opened', () => {
    const given: Given[] = [
      { name: 'root', a: [0, 10_000], b: [0, 10_000] },
      { name: 'price', parent: 0, a: [0, 500], b: [0, 500] },
      { name: 'below', parent: 1, a: [0, 400], b: [0, 400] },
      ...Array.from({ length: 6 }, (_, index): Given => ({ name: 'price', parent: 0, b: [1000 * (index + 1), 500] })),
      { name: 'other', parent: 0, a: [0, 1], b: [0, 1] },
    ];
    const closed = rowsOf(given);
    expect(closed.map(({ span }) => span.serviceName)).toEqual(['root', 'price', 'other']);
    expect(closed[1]).toMatchObject({ size: 7, open: false, words: ['count'], a: { count: 1, duration: 500 }, b: { count: 7, duration: 3500, from: 0, to: 6500 } });
    const opened = rowsOf(given, new Set([1]));
    expect(opened.map(({ span }) => span.serviceName)).toEqual(['root', 'price', 'below', 'price', 'price', 'price', 'price', 'price', 'price', 'other']);
    expect(opened[1]).toMatchObject({ size: 7, open: true, a: { count: 1 }, b: { count: 1 } });
    expect(opened[3]).toMatchObject({ size: 1, open: false, words: ['added'] });
  });

  it('begin where their parent began in A', () => {
    const rows = rowsOf([
      { name: 'root', a: [0, 10_000], b: [500_000, 10_000] },
      { name: 'late', parent: 0, a: [1000, 4000], b: [505_000, 4000] },
      { name: 'inner', parent: 1, a: [1500, 100], b: [505_500, 100] },
    ]);
    expect(rows.map(({ a, b }) => [a.from, b.from])).toEqual([
      [0, 0],
      [1000, 5000],
      [1500, 1500],
    ]);
  });

  it('tell failures, own time, and what is below', () => {
    expect(
      words([
        { name: 'root', a: [0, 15_000], b: [0, 19_000] },
        { name: 'fails', parent: 0, a: [0, 10], b: [0, 10], failsInB: true },
        { name: 'slow', parent: 0, a: [1000, 100], b: [1000, 4000], self: 3900 },
        { name: 'fast', parent: 0, a: [6000, 4000], b: [6000, 100] },
        { name: 'same', parent: 0, a: [11_000, 100], b: [11_000, 190] },
      ]),
    ).toEqual({ root: ['inherits'], fails: ['fails'], slow: ['self'], fast: ['inherits_less'], same: [] });
  });

  it('put a span that another clock told to begin before its parent into the middle of that', () => {
    const rows = rowsOf([{ name: 'root', a: [0, 1000], b: [0, 1000] }, { name: 'skewed', parent: 0, a: [-50_000, 200], b: [0, 200] }]);
    expect(rows[1]?.a).toMatchObject({ from: 400, to: 600 });
  });

  it('need no times, no other side, and no stack for 100,000 levels', () => {
    const [diff] = traces([{ name: 'root', a: [0, 10] }]);
    expect(pairRows({ ...diff, spans: [] }, [], [], NOTHING)).toEqual([]);
    const [row] = pairRows(diff, [], [], NOTHING);
    expect(row?.a.from).toBeUndefined();
    const deep = Array.from({ length: 100_000 }, (_, index): Given => ({ name: 's', a: [index, 200_000 - index], b: [index, 200_000 - index], ...(index > 0 && { parent: index - 1 }) }));
    expect(rowsOf(deep)).toHaveLength(100_000);
  }, 60_000);

  it('know how much of them has no counterpart', () => {
    const [diff] = traces([{ name: 'root', a: [0, 10], b: [0, 10] }, { name: 'x', parent: 0, b: [0, 1] }]);
    expect(unmatchedShare(diff)).toBe(0.5);
    expect(unmatchedShare({ ...diff, spans: [] })).toBe(0);
  });
});

describe('two groups', () => {
  const search = '?service=Inventory&op=GET+/stock&a.version=1.4.2&b.version=1.4.3&a.from=1000&a.to=2000&from=500&b.to=3000&tags=error&b.tags=x%3D1';

  it('are searches', () => {
    const { a, b } = cohortsOf(search);
    expect(Object.fromEntries(searchOf(a, 'version'))).toEqual({
      serviceName: 'inventory',
      spanName: 'get /stock',
      annotationQuery: 'version=1.4.2 and error',
      endTs: '2000',
      lookback: '1000',
    });
    expect(Object.fromEntries(searchOf(b, 'service.version'))).toMatchObject({ annotationQuery: 'service.version=1.4.3 and x=1', endTs: '3000', lookback: '2500' });
  });

  it('need no more than a service', () => {
    const { a } = cohortsOf('?service=x&a.from=tomorrow');
    expect(Object.fromEntries(searchOf(a, ''))).toEqual({ serviceName: 'x' });
  });

  it('are the same when their address is read again', () => {
    const cohorts = { ...cohortsOf(search), tag: 'version' };
    expect(cohortsOf(`?${parametersOf(cohorts)}`)).toEqual(cohorts);
  });
});

describe('call paths', () => {
  const side = { count: 10, errors: 0, mean: 1, p50: 1, p90: 1, p95: 1, p99: 1, selfTimeMean: 1, callsPerTrace: 1, histogram: [] };
  const operation = (serviceName: string, classification: OperationComparison['classification']): OperationComparison => ({
    serviceName,
    spanName: 'get',
    spanKind: 'SERVER',
    baseline: side,
    candidate: side,
    classification,
  });

  it('are in the order of a pair of traces, with the origin and who waits for it', () => {
    const [pair] = traces([{ name: 'root', a: [0, 9], b: [0, 9] }, { name: 'middle', parent: 0, a: [0, 9], b: [0, 9] }, { name: 'origin', parent: 1, a: [0, 9], b: [0, 9] }, { name: 'aside', parent: 0, a: [0, 9], b: [0, 9] }]);
    const names = ['aside', 'origin', 'elsewhere', 'middle', 'root'];
    const findings = [{ origin: { serviceName: 'origin', spanName: 'get', spanKind: 'SERVER' }, cause: 'self_time' }];
    const report = { operations: names.map((name) => operation(name, name === 'aside' ? 'pass' : 'high')), findings } as unknown as Report;
    const rows = pathRows(report, pair);
    expect(rows.map(({ operation: { serviceName }, depth, inherits, changed, finding }) => [serviceName, depth, inherits, changed, !!finding])).toEqual([
      ['root', 0, true, true, false],
      ['middle', 1, true, true, false],
      ['origin', 2, false, true, true],
      ['aside', 1, false, false, false],
      ['elsewhere', undefined, false, true, false],
    ]);
    expect(pathRows(report, undefined).map(({ operation: { serviceName } }) => serviceName)).toEqual(names);
  });
});
