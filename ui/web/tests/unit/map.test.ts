/** The map: which services are shown, where they are, and what is said of them. */
import { describe, expect, it } from 'vitest';

import type { JudgedDeployment } from '../../src/api/schema';
import type { DependencyLink } from '../../src/api/services';
import { deltaOf, nodeFigures, toneOf } from '../../src/map/figures';
import { busiest, drawable, graphOf, healthOf, neighbourhood, widthOf } from '../../src/map/graph';
import { nearest, NODE_HEIGHT, NODE_WIDTH, pathThrough } from '../../src/map/geometry';
import { layoutOf } from '../../src/map/layout';
import { mapState } from '../../src/map/map-state';
import { text } from '../../src/map/text';
import { labelOf, titleOf } from '../../src/map/words';
import type { ServiceSteps } from '../../src/services/figures';

const link = (parent: string, child: string, callCount = 1, more: Partial<DependencyLink> = {}): DependencyLink => ({ parent, child, callCount, ...more });
const names = ({ nodes }: { nodes: { serviceName: string }[] }) => nodes.map(({ serviceName }) => serviceName).sort().join('');

describe('a graph', () => {
  it('has every service once, with the calls of it by others', () => {
    const { nodes, links } = graphOf([link('a', 'b', 3), link('c', 'b', 4), link('b', 'b', 9), link('a', 'b', 1, { errorCount: 1 })]);
    expect(nodes).toEqual([
      { serviceName: 'a', asked: 0, calls: true },
      { serviceName: 'b', asked: 8, calls: false },
      { serviceName: 'c', asked: 0, calls: true },
    ]);
    expect(links).toHaveLength(3);
    expect(links[0]).toMatchObject({ callCount: 4, errorCount: 1 });
    const [both] = graphOf([link('a', 'b', 3, { p50: 1, p95: 2, p99: 3 }), link('a', 'b', 1, { p95: 9 })]).links;
    expect(both).toEqual({ parent: 'a', child: 'b', callCount: 4 });
  });

  it.each([
    [0, 'b'],
    [1, 'abc'],
    [2, 'abcd'],
    [9, 'abcd'],
  ])('%d calls around a service, through cycles', (depth, expected) => {
    const graph = graphOf([link('a', 'b'), link('b', 'c'), link('c', 'a'), link('c', 'd'), link('x', 'y'), link('b', 'b')]);
    expect(names(neighbourhood(graph, 'b', depth))).toBe(expected);
  });

  it('that is too large keeps the busiest, and the chosen one', () => {
    const graph = graphOf([link('a', 'b', 10), link('b', 'c', 5), link('d', 'e', 1)]);
    expect(busiest(graph).map(({ serviceName }) => serviceName)).toEqual(['b', 'a', 'c', 'd', 'e']);
    expect(drawable(graph, null, 2)).toMatchObject({ all: 5 });
    expect(names(drawable(graph, null, 2))).toBe('ab');
    expect(names(drawable(graph, 'e', 2))).toBe('be');
    expect(drawable(graph, 'e', 2).links).toEqual([]);
    expect(names(drawable(graph, 'not there', 5))).toBe('abcde');
    expect(names(drawable(graph, 'not there', 2))).toBe('ab');
    expect(busiest(graphOf([link('a', 'b', 10), link('c', 'c', 6)]))[2]).toMatchObject({ serviceName: 'c' });
  });

  it('of ten thousand links is made in linear time', () => {
    const links = Array.from({ length: 10_000 }, (_, index) => link(`s${index}`, `s${index + 1}`));
    const graph = graphOf(links);
    expect(neighbourhood(graph, 's5000', 10_000).nodes).toHaveLength(10_001);
  });
});

describe('a link', () => {
  it.each([
    [0, 10, 'fine'],
    [4, 10, 'fine'],
    [5, 10, 'some'],
    [7, 10, 'some'],
    [3, 4, 'many'],
    [3, 0, 'fine'],
  ])('of which %d of %d calls fail is %s', (errorCount, callCount, expected) => {
    expect(healthOf(link('a', 'b', callCount, { errorCount }), 0.5, 0.75)).toBe(expected);
  });

  const whole = link('web', 'shop', 1000, { errorCount: 20, p50: 9000, p95: 61_300, p99: 90_000 });

  it('is told with all that the server tells of it', () => {
    expect(labelOf(whole, undefined)).toBe('61.3 ms · 2 % err');
    expect(titleOf(whole)).toBe('web → shop: 1,000 calls, p50 9 ms, p95 61.3 ms, p99 90 ms, 2 % fail');
  });

  it('is told with less where the server tells less', () => {
    expect(labelOf(link('web', 'shop', 1), undefined)).toBe('');
    expect(titleOf(link('web', 'shop', 1))).toBe('web → shop: 1 call');
    expect(titleOf(link('web', 'shop', 2, { p95: 0 }))).toBe('web → shop: 2 calls, p95 0 µs');
    expect(titleOf(link('x'.repeat(10_000), '', 2)).length).toBeLessThan(130);
  });

  it('is told by its change where there is one', () => {
    expect(labelOf(whole, deltaOf(50_000, 61_300))).toBe('▲+11.3 ms · 2 % err');
    expect(labelOf(link('a', 'b'), deltaOf(100_000, 50_000))).toBe('▼−50 ms');
    expect(labelOf(link('a', 'b', 4, { p95: 1 }), deltaOf(100_000, 101_000))).toBe('+1 ms');
  });

  it('without errors is fine even where the least rate is 0', () => {
    expect(healthOf(link('a', 'b', 5), 0, 0.5)).toBe('fine');
    expect(healthOf(link('a', 'b', 5), 0, 0)).toBe('fine');
  });

  it('is wider the more calls there are', () => {
    expect(widthOf(0, 0)).toBe(1.5);
    expect(widthOf(100, 100)).toBe(6);
    expect(widthOf(25, 100)).toBe(3.75);
  });
});

describe('a layout', () => {
  const input = { nodes: ['a', 'b', 'c'], links: [{ parent: 0, child: 1 }, { parent: 1, child: 2 }, { parent: 2, child: 0 }, { parent: 1, child: 1 }] };
  const layout = layoutOf(input);

  it('is the same every time', () => expect(layoutOf(input)).toEqual(layout));

  it('has callers to the left, boxes that do not overlap, and everything inside', () => {
    const xs = layout.nodes.map(({ x }) => x);
    expect(xs).toEqual(xs.toSorted((a, b) => a - b));
    expect((xs[1] ?? 0) - (xs[0] ?? 0)).toBeGreaterThan(NODE_WIDTH);
    for (const { x, y } of layout.nodes) {
      expect(x - NODE_WIDTH / 2).toBeGreaterThanOrEqual(0);
      expect(y - NODE_HEIGHT / 2).toBeGreaterThanOrEqual(0);
      expect(x + NODE_WIDTH / 2).toBeLessThanOrEqual(layout.width);
      expect(y + NODE_HEIGHT / 2).toBeLessThanOrEqual(layout.height);
    }
    const [, above, below] = layoutOf({ nodes: ['a', 'b', 'c'], links: [{ parent: 0, child: 1 }, { parent: 0, child: 2 }] }).nodes;
    expect(above?.x).toBe(below?.x);
    expect(Math.abs((above?.y ?? 0) - (below?.y ?? 0))).toBeGreaterThan(NODE_HEIGHT);
  });

  it('leads lines from one side to the other', () => {
    const [forward, , back] = layout.links;
    expect(forward?.points[0]?.x).toBe((layout.nodes[0]?.x ?? 0) + NODE_WIDTH / 2);
    expect(forward?.points.at(-1)?.x).toBe((layout.nodes[1]?.x ?? 0) - NODE_WIDTH / 2);
    expect(back?.points[0]?.x).toBe((layout.nodes[2]?.x ?? 0) - NODE_WIDTH / 2);
  });

  it('has a loop at the top of a service that calls itself', () => {
    const loop = layout.links[3]?.points ?? [];
    expect(loop).toHaveLength(4);
    expect(loop[0]?.y).toBe((layout.nodes[1]?.y ?? 0) - NODE_HEIGHT / 2);
    for (const { y } of loop.slice(1, 3)) expect(y).toBeLessThan(loop[0]?.y ?? 0);
  });

  it('of one service alone is a box', () => {
    expect(layoutOf({ nodes: ['a'], links: [] }).nodes).toHaveLength(1);
    const { width, height } = layoutOf({ nodes: [], links: [] });
    expect([width > NODE_WIDTH, height > NODE_HEIGHT]).toEqual([true, true]);
  });

  it('is drawn as a line through its points', () => {
    expect(pathThrough([{ x: 0, y: 0 }, { x: 10, y: 4 }])).toBe('M0 0C5 0 5 4 10 4');
    expect(pathThrough([{ x: 0, y: 0 }, { x: 10, y: 4 }, { x: 30, y: 4 }])).toBe('M0 0C5 0 5 4 10 4C20 4 20 4 30 4');
    expect(pathThrough([])).toBe('');
  });
});

describe('the arrow keys', () => {
  const places = [{ x: 0, y: 0 }, { x: 100, y: 10 }, { x: 100, y: 90 }, { x: 0, y: 100 }];

  it.each([
    ['right', 1],
    ['down', 3],
    ['left', null],
    ['up', null],
  ] as const)('%s from the first', (direction, expected) => expect(nearest(places, 0, direction)).toBe(expected));
});

describe('what is said of a service', () => {
  const steps = (p95: number): ServiceSteps => ({
    count: 1,
    percentiles: { p50: 1, p95, p99: 3 },
    p95s: [],
    live: [{ version: '2', share: 1 }],
    byVersion: [{ version: '1', count: 1, p95: 100 }, { version: '2', count: 1, p95: 150 }],
    missing: null,
  });
  const window = { startTs: 0, endTs: 10_000 };
  const deployment: JudgedDeployment = { id: 'i', serviceName: 's', version: '2', previousVersion: '1', startTs: 9000, inferred: false, rollback: false, verdict: 'regressed' };

  it('is its own requests, or calls of it where it reports none', () => {
    const figures = { serviceName: 's', count: 20, errors: 5, rate: 2, p95: 7 };
    const own = nodeFigures({ figures, steps: undefined, before: undefined, incoming: [link('a', 's', 1)], deployments: [] }, window, 'none');
    expect(own).toMatchObject({ rate: 2, errorShare: 0.25, p95: 7, reports: true });
    const silent = nodeFigures({ figures: undefined, steps: undefined, before: undefined, incoming: [link('a', 's', 50, { errorCount: 5, p95: 9 })], deployments: [] }, window, 'none');
    expect(silent).toMatchObject({ rate: 5, errorShare: 0.1, p95: 9, reports: false });
    const asked = nodeFigures({ figures: { ...figures, count: 0, errors: 0, rate: 0, p95: undefined }, steps: undefined, before: undefined, incoming: [link('a', 's', 20, { p95: 9 }), link('b', 's', 30, { p95: 9 })], deployments: [] }, window, 'none');
    expect(asked).toMatchObject({ rate: 5, errorShare: 0, p95: undefined, reports: false });
    const idle = nodeFigures({ figures: undefined, steps: undefined, before: undefined, incoming: [], deployments: [] }, window, 'none');
    expect(idle.errorShare).toBeUndefined();
  });

  it('is compared with the window before, or with the version before', () => {
    const sources = { figures: undefined, steps: steps(120), before: steps(100), incoming: [], deployments: [deployment] };
    expect(nodeFigures(sources, window, 'before').change).toMatchObject({ difference: 20 });
    expect(nodeFigures(sources, window, 'version').change).toMatchObject({ difference: 50, relative: 0.5 });
    expect(nodeFigures(sources, window, 'none').change).toBeUndefined();
    expect(nodeFigures(sources, window, 'none')).toMatchObject({ rolling: true, regressed: true, versions: [{ version: '2', share: 1 }] });
    const undone = { ...deployment, id: 'j', version: '1', previousVersion: '2', rolledBackTs: 9500 };
    expect(nodeFigures({ ...sources, deployments: [undone, deployment] }, window, 'version').change).toMatchObject({ difference: 50 });
    expect(nodeFigures({ ...sources, deployments: [undone] }, window, 'version')).toMatchObject({ rolling: false, regressed: false, change: undefined });
  });

  it('has a tone from a tenth on', () => {
    expect(toneOf(deltaOf(100, 109))).toBe('same');
    expect(toneOf(deltaOf(100, 111))).toBe('worse');
    expect(toneOf(deltaOf(100, 80))).toBe('better');
    expect(toneOf(deltaOf(0, 80))).toBe('same');
    expect(deltaOf(undefined, 1)).toBeUndefined();
  });
});

it('nonsense in an address is the default', () => {
  expect(mapState('?depth=9&compare=x&zoom=-1&view=y')).toEqual({ serviceName: null, depth: 'all', comparison: 'none', table: false, zoom: null });
  expect(mapState('?service=a&depth=2&compare=before&zoom=99&view=table')).toEqual({ serviceName: 'a', depth: 2, comparison: 'before', table: true, zoom: 3 });
  expect(mapState('?serviceName=a&depth=1&compare=version&zoom=0.01')).toEqual({ serviceName: 'a', depth: 1, comparison: 'version', table: false, zoom: 0.2 });
});

describe('what is missing', () => {
  it('is told in sentences, however the server ends its own', () => {
    expect(text.partial('a segment is lost')).toBe('Not everything was looked at: a segment is lost. Links are dashed.');
    expect(text.partial('A segment is lost.')).toBe('Not everything was looked at: A segment is lost. Links are dashed.');
  });
});
