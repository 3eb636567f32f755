/** Figures of services, lines and cells of charts, and what is around an operation. */
import { describe, expect, it } from 'vitest';

import type { Span } from '../../src/api';
import type { JudgedDeployment, LatencyChart, OperationRow, Point } from '../../src/api/schema';
import { cellAt, heatOf, strength } from '../../src/chart/heat';
import { sparkPath } from '../../src/chart/sparkline';
import { timeLabels } from '../../src/chart/time-axis';
import { makeLine } from '../../src/few';
import { bandsOf, isGoingOn, liveRegressions, newestByService } from '../../src/rollouts';
import { aroundOperation } from '../../src/services/around';
import { requestRows, serviceFigures, sparkStep, stepsOf, weightedMedian } from '../../src/services/figures';
import { merge } from '../../src/services/lines';
import { searchPath } from '../../src/services/search-path';

const row = (serviceName: string, spanKind: string | undefined, count: number, more: Partial<OperationRow> = {}): OperationRow => ({
  serviceName,
  spanName: `${spanKind} ${count}`,
  ...(spanKind && { spanKind }),
  count,
  errors: 0,
  rate: count / 60,
  beforeCount: 0,
  change: {},
  ...more,
});

describe('the requests of a service', () => {
  it('are what it answers, else local work, else its calls', () => {
    const [server, consumer, client, local] = [row('a', 'SERVER', 1), row('a', 'CONSUMER', 2), row('a', 'CLIENT', 3), row('a', undefined, 4)];
    expect(requestRows([client, server, consumer, local])).toEqual([server, consumer]);
    expect(requestRows([client, local])).toEqual([local]);
    expect(requestRows([client])).toEqual([client]);
  });

  it('have percentiles of all where there is one operation', () => {
    const rows = [row('a', 'SERVER', 10, { p95: 7, errors: 1 }), row('a', 'CLIENT', 20), row('b', 'SERVER', 1, { p95: 1 }), row('b', 'SERVER', 2, { p95: 2 })];
    const [a, b, idle] = serviceFigures(rows, ['a', 'b', 'idle']);
    expect(a).toMatchObject({ serviceName: 'a', count: 10, errors: 1, p95: 7 });
    expect(b).toMatchObject({ count: 3 });
    expect(b?.p95).toBeUndefined();
    expect(idle).toMatchObject({ serviceName: 'idle', count: 0 });
  });
});

describe('a median by weight', () => {
  it.each([
    [[[10, 1], [20, 1], [30, 1]], 20],
    [[[30, 5], [10, 1]], 30],
    [[[10, 1], [20, 1]], 10],
    [[[10, 0], [20, 1]], 20],
    [[], undefined],
  ] as [[number, number][], number | undefined][])('of %j is %s', (values, expected) => expect(weightedMedian(values)).toBe(expected));
});

const point = (count: number, p95: number | undefined): Point => ({
  startTs: 0,
  count,
  errors: 1,
  rate: count,
  ...(p95 !== undefined && { p50: p95 - 1, p95, p99: p95 + 1 }),
});

const latency = (series: LatencyChart['series']): LatencyChart => ({ serviceName: 'a', startTs: 0, endTs: 1, step: 60_000, side: 'server', series });

describe('the steps of a service', () => {
  const all = latency([{ points: [point(10, 5), point(20, 8), point(0, undefined)] }]);
  const old = { version: '1', points: [point(10, 5), point(5, 5), point(0, undefined)] };
  const fresh = { version: '2', points: [point(0, undefined), point(15, 9), point(0, undefined)] };

  it('tell which versions are live, the one with the most first, by the last steps with requests', () => {
    expect(stepsOf(all, latency([old, fresh]), null).live).toEqual([
      { version: '1', share: 0.5 },
      { version: '2', share: 0.5 },
    ]);
    const busy = latency([{ points: [point(100, 5), point(15, 9), point(15, 9)] }]);
    const gone = { ...old, points: [point(100, 5), point(0, undefined), point(1, 5)] };
    const next = { version: '2', points: [point(0, undefined), point(15, 9), point(14, 9)] };
    expect(stepsOf(busy, latency([gone, next]), null).live.map(({ version }) => version)).toEqual(['2', '1']);
  });

  it('tell the usual percentiles, of all and of each version', () => {
    const steps = stepsOf(all, latency([old, fresh, { points: [point(3, 1)] }]), 'why');
    expect(steps).toMatchObject({ count: 30, p95s: [5, 8, undefined], missing: 'why', percentiles: { p50: 7, p95: 8, p99: 9 } });
    expect(steps.byVersion).toEqual([
      { version: '1', count: 15, p95: 5 },
      { version: '2', count: 15, p95: 9 },
    ]);
  });

  it('tell nothing where nothing took any time', () => {
    const steps = stepsOf(latency([{ points: [point(3, undefined)] }]), latency([]), null);
    expect(steps).toMatchObject({ percentiles: undefined, p95s: [undefined], live: [], byVersion: [] });
  });

  it('of versions are put together', () => {
    expect(merge(latency([old, fresh])).map(({ count, errorRate, p95 }) => ({ count, errorRate, p95 }))).toEqual([
      { count: 10, errorRate: 0.2, p95: undefined },
      { count: 20, errorRate: 0.1, p95: undefined },
      { count: 0, errorRate: undefined, p95: undefined },
    ]);
    expect(merge(all)).toBe(all.series[0]?.points);
  });
});

describe('a step of a sparkline', () => {
  it.each([
    [60_000, 60_000],
    [900_000, 60_000],
    [3_600_000, 180_000],
    [86_400_000, 4_320_000],
  ])('of %d ms', (lookback, step) => expect(sparkStep(lookback)).toBe(step));

  it('has gaps where nothing is known', () => {
    expect(sparkPath([1, undefined, 1, 1]).match(/M/g)).toHaveLength(2);
    expect(sparkPath([])).toBe('');
  });
});

describe('a heatmap', () => {
  const heat = heatOf([[[1279, 3], [2047, 1], [5000, 0]], undefined, [[19, 16]]]);

  it('has a cell for every bin that holds any, of which an octave has four', () => {
    expect(heat).toEqual({
      cells: [
        { step: 0, low: 1024, high: 1279, count: 3 },
        { step: 0, low: 1792, high: 2047, count: 1 },
        { step: 2, low: 16, high: 19, count: 16 },
      ],
      low: 16,
      high: 2047,
      most: 16,
    });
  });

  it.each([
    [0, 0],
    [1, 1],
    [3, 3],
    [7, 7],
    [9, 8],
    [11, 10],
    [39, 32],
  ])('begins a bin up to %d at %d', (high, low) => expect(heatOf([[[high, 1]]])?.cells[0]).toMatchObject({ low, high }));

  it('finds a cell by step and duration', () => {
    expect(heat && cellAt(heat, 0, 1024)?.count).toBe(3);
    expect(heat && cellAt(heat, 0, 1279.9)?.count).toBe(3);
    expect(heat && cellAt(heat, 0, 1280)).toBeUndefined();
    expect(heat && cellAt(heat, 1, 1100)).toBeUndefined();
  });

  it('is nothing without bins', () => expect(heatOf([undefined, []])).toBeNull());

  it('shows a single request beside a thousand', () => {
    expect(strength(1, 1000)).toBeGreaterThan(0.12);
    expect(strength(1000, 1000)).toBe(1);
  });
});

describe('deployments', () => {
  const at = 1_000_000_000;
  const deployment = (more: Partial<JudgedDeployment>): JudgedDeployment => ({ id: 'i', serviceName: 's', version: '2', startTs: at - 1000, inferred: false, rollback: false, ...more });

  it.each([
    [{}, true],
    [{ endTs: at - 1 }, false],
    [{ endTs: at + 1 }, true],
    [{ supersededBy: 'x' }, false],
    [{ rolledBackTs: at }, false],
    [{ startTs: at + 1 }, false],
    [{ startTs: at - 86_400_001 }, false],
  ])('%j go on: %s', (more, expected) => expect(isGoingOn(deployment(more), at)).toBe(expected));

  it('that made something worse count while they are live', () => {
    const regressed = deployment({ verdict: 'regressed' });
    expect(liveRegressions([regressed, deployment({}), deployment({ verdict: 'regressed', rolledBackTs: at })])).toEqual([regressed]);
  });

  it('the newest of a service comes first', () => {
    expect(newestByService([deployment({ id: 'new' }), deployment({ id: 'old' })]).get('s')?.id).toBe('new');
  });

  it('are bands: without an end a moment, or until now', () => {
    expect(bandsOf([deployment({}), deployment({ supersededBy: 'x', verdict: 'regressed' })], at)).toEqual([
      { startTs: at - 1000, endTs: null, label: 's 2', failed: false },
      { startTs: at - 1000, endTs: at - 1000, label: 's 2', failed: true },
    ]);
  });
});

describe('around an operation', () => {
  const span = (id: string, parentId: string | undefined, serviceName: string, name: string, kind: Span['kind'], duration = 10, more: Partial<Span> = {}): Span => ({
    traceId: '1',
    id,
    ...(parentId && { parentId }),
    ...(kind && { kind }),
    name,
    duration,
    localEndpoint: { serviceName },
    ...more,
  });

  it('are its callers by operation, and its calls below local work', () => {
    const trace = [
      span('1', undefined, 'web', 'get /', 'SERVER'),
      span('2', '1', 'web', 'ask', 'CLIENT', 90),
      span('3', '2', 'stock', 'get /stock', 'SERVER', 80),
      span('4', '3', 'stock', 'work', undefined),
      span('5', '4', 'stock', 'select', 'CLIENT', 30, { remoteEndpoint: { serviceName: 'mysql' } }),
      span('6', '3', 'stock', 'get', 'CLIENT', 20),
      span('6', '3', 'price', 'get /price', 'SERVER', 18, { shared: true }),
    ];
    expect(aroundOperation([trace, trace], 'stock', 'get /stock')).toEqual({
      requests: 2,
      fromOutside: 0,
      callers: [{ serviceName: 'web', spanName: 'get /', calls: 2, mean: 90 }],
      callees: [
        { serviceName: 'mysql', spanName: 'select', calls: 2, mean: 30 },
        { serviceName: 'price', spanName: 'get /price', calls: 2, mean: 20 },
      ],
    });
    expect(aroundOperation([trace], 'web', 'get /')).toMatchObject({ fromOutside: 1, callers: [], callees: [{ serviceName: 'stock' }] });
  });

  it('survives spans that are their own parents, and those without anything', () => {
    const trace: Span[] = [span('1', '1', 'a', 'x', undefined), span('2', '3', 'a', 'x', undefined), span('3', '2', 'a', 'x', undefined), { traceId: '1', id: '9' }];
    expect(aroundOperation([trace], 'a', 'x').requests).toBe(3);
    expect(aroundOperation([trace], '', '').requests).toBe(1);
  });
});

describe('questions one after another', () => {
  it('are a few at a time, each once', async () => {
    const running: string[] = [];
    const done = new Map<string, () => void>();
    const line = makeLine(2, (name) => {
      running.push(name);
      return new Promise((resolve) => done.set(name, resolve));
    });
    for (const name of ['a', 'b', 'a', 'c']) line.want(name);
    expect(running).toEqual(['a', 'b']);
    done.get('a')?.();
    await Promise.resolve().then(() => undefined);
    await new Promise((resolve) => setTimeout(resolve));
    expect(running).toEqual(['a', 'b', 'c']);
    line.stop();
    line.want('d');
    expect(running).toEqual(['a', 'b', 'c']);
  });
});

it('a search is written as Zipkin has it', () => {
  expect(searchPath({ serviceName: 'a b', minDuration: 999.6, maxDuration: 2000, sort: 'slowest' }, { startTs: 1000, endTs: 61_000 })).toBe(
    '?serviceName=a+b&sort=slowest&minDuration=1000us&maxDuration=2000us&lookback=millis&millis=60000&endTs=61000',
  );
});

it('ticks of time have the date where it changes', () => {
  const labels = timeLabels(null, [Date.UTC(2026, 0, 5, 12) / 1000, Date.UTC(2026, 0, 6, 12) / 1000], 0, 0, 3600);
  expect(labels[0]).not.toContain('01-05');
  expect(labels[1]).toContain('01-06');
});
