/** The parts of a trace's page that are arithmetic: state, axis, finding, operations, call paths, pixels, summaries. */
import { describe, expect, it } from 'vitest';

import { panned, tickLabel, ticksOf, tickStep, zoomed } from '../../src/trace/axis';
import { DetailsReader } from '../../src/trace/details';
import { filled, markdownOf, markedAsArchived } from '../../src/trace/export';
import { readFile, spansIn } from '../../src/trace/file-spans';
import { findRows } from '../../src/trace/find';
import { flameOf, flameWidth } from '../../src/trace/flame-tree';
import { minimapPixels } from '../../src/trace/minimap-pixels';
import { notesOf } from '../../src/trace/notes';
import { operationsOf } from '../../src/trace/operations';
import { packed } from '../../src/trace/palette';
import { parametersOf, stateOf } from '../../src/trace/state';
import { usualOf, usualOfVersion } from '../../src/trace/usual-figures';
import { idOf, rowOf } from '../../src/trace/view';
import { row, viewOf } from './trace-rows';

const shown = new Uint8Array(9);

const shop = viewOf(
  row('web get', { duration: 100, self: 20, critical: 20 }),
  row('. db select', { start: 10, duration: 30, self: 30, critical: 30, error: true }),
  row('. db select', { start: 50, duration: 50, self: 50 }),
  row('. . disk read', { start: 60, duration: 10, self: 10 }),
);

describe('the state', () => {
  it('is in the address and comes back from it', () => {
    const search = '?span=a&root=b&hide=one%2Ctwo%252Cthree&q=x+y&view=flame&t0=5&t1=9&detail=inline';
    const state = stateOf(search);
    expect(state).toMatchObject({ span: 'a', root: 'b', hide: ['one', 'two,three'], q: 'x y', view: 'flame', t0: 5, t1: 9, detail: 'inline' });
    const parameters = Object.entries(parametersOf(state)).filter(([, value]) => value !== null) as [string, string][];
    expect(`?${new URLSearchParams(parameters)}`).toBe(search);
  });

  it.each(['?t0=9&t1=5', '?t0=5', '?t0=x&t1=9', '?t0=-1&t1=9', '?view=pie&detail=none'])('takes nothing from %s', (search) => {
    expect(Object.values(parametersOf(stateOf(search)))).toEqual(Array(8).fill(null));
  });
});

describe('the axis', () => {
  it.each([
    [84_300, 8, 20_000],
    [100, 4, 50],
    [3, 10, 1],
    [6e8, 7, 1.2e8],
    [6e10, 6, 1.8e10],
  ])('of %d in %d labels has steps of %d', (length, count, step) => {
    expect(tickStep(0, length, count)).toBe(step);
  });

  it('is labelled at round times', () => {
    expect(ticksOf(31_000, 84_300, 4)).toEqual([40_000, 60_000, 80_000]);
    expect(ticksOf(0, 1, 8)).toEqual([0, 1]);
  });

  it('says of every label what it is', () => {
    const said = (end: number) => ticksOf(0, end, 7).map((tick) => tickLabel(tick, tickStep(0, end, 7), end));
    expect(said(6e8)).toEqual(['0 min', '2 min', '4 min', '6 min', '8 min', '10 min']);
    expect(said(1.5e8)).toEqual(['0 min', '0.5 min', '1 min', '1.5 min', '2 min', '2.5 min']);
    expect(said(84_300)).toEqual(['0 ms', '20 ms', '40 ms', '60 ms', '80 ms']);
  });

  it('has as many decimals as tell labels apart', () => {
    expect(tickLabel(40_000, 20_000, 84_300)).toBe('40 ms');
    expect(tickLabel(1_234_500, 500, 1_236_000)).toBe('1,234.5 ms');
    expect(tickLabel(3_000_001, 1, 3_000_010)).toBe('3.000001 s');
    expect(tickLabel(0, 10_000_000, 600_000_000)).toBe('0 min');
  });

  it('zooms around a point, and no further than the whole and a microsecond', () => {
    const whole = { from: 0, to: 100 };
    expect(zoomed(whole, whole, 0.5, 100)).toEqual({ from: 50, to: 100 });
    expect(zoomed({ from: 50, to: 100 }, whole, 4, 75)).toEqual(whole);
    expect(zoomed({ from: 50, to: 51 }, whole, 0.5, 50)).toEqual({ from: 50, to: 51 });
    expect(panned({ from: 50, to: 70 }, whole, 0.5)).toEqual({ from: 60, to: 80 });
    expect(panned({ from: 50, to: 70 }, whole, 9)).toEqual({ from: 80, to: 100 });
    expect(panned({ from: 5, to: 25 }, whole, -1)).toEqual({ from: 0, to: 20 });
  });
});

describe('finding', () => {
  it.each([
    ['DB', [1, 2]],
    ['sel', [1, 2]],
    ['000000000000000', []],
    ['0000000000000004', [3]],
    [' ', []],
    ['sku = 7', [2]],
  ])('%s', (text, rows) => {
    expect([...findRows(shop, ['', '', 'sql=where sku = 7\n', ''], text)]).toEqual(rows);
  });

  it('goes by who was called and told nothing, and by version', () => {
    const silent = { ...shop, versions: ['2.0.1'], rows: { ...shop.rows, remote: Int32Array.of(-1, -1, -1, 3), version: Int32Array.of(0, -1, -1, -1) } };
    const named = { ...silent, services: ['web', 'db', 'disk', 'kafka'] };
    expect([...findRows(named, null, 'kafka')]).toEqual([3]);
    expect([...findRows(named, null, '2.0')]).toEqual([0]);
  });

  it('knows tags and annotations of the spans as they are stored', () => {
    const reader = new DetailsReader(shop);
    const spans = [
      { traceId: 't', id: '0000000000000002', tags: { SQL: 'Select' }, annotations: [{ timestamp: 1_000_015, value: 'Retry' }] },
      { traceId: 't', id: '2', annotations: [{ timestamp: 1_000_012, value: 'again' }] },
      { traceId: 't', id: 'ffff', tags: { lost: 'yes' } },
    ];
    expect(spans.map((span) => reader.take(span))).toEqual([true, true, true]);
    const marks = reader.marks();
    expect(reader.texts).toEqual(['', 'sql=select\nretry\nagain\n', '', '']);
    expect([[...marks.begin], [...marks.at]]).toEqual([[0, 0, 2, 2, 2], [15, 12]]);
  });

  it.each([
    ['characters', { characters: 8, annotations: 100 }],
    ['annotations', { characters: 1000, annotations: 2 }],
  ])('takes no more spans than memory is there for their %s', (_, bounds) => {
    const reader = new DetailsReader(shop, bounds);
    const span = { traceId: 't', id: '1', annotations: [{ timestamp: 1_000_001, value: 'abc' }] };
    expect([reader.take(span), reader.take(span)]).toEqual([true, false]);
    expect(reader.spans).toBe(2);
    expect([...reader.marks().at]).toEqual([1, 1]);
  });

  it('goes by identifier', () => {
    expect([rowOf(shop.rows, '0000000000000003'), rowOf(shop.rows, '3'), rowOf(shop.rows, 'x'), rowOf(shop.rows, null)]).toEqual([2, 2, -1, -1]);
    expect(idOf(shop.rows, 2)).toBe('0000000000000003');
  });
});

describe('a file', () => {
  const zipkin = { traceId: '1', id: '000000000000000a', tags: { a: 'b' }, annotations: [{ timestamp: 1, value: 'x' }] };

  it('gives the spans of an identifier as they are, whatever the format', () => {
    expect(spansIn([zipkin, { ...zipkin, id: 'b' }], '000000000000000a')).toEqual({ spans: [zipkin], others: [] });
    const first = { traceId: '1', id: 'a', annotations: [{ timestamp: 1, value: 'sr', endpoint: {} }], binaryAnnotations: [] };
    const telemetry = { resourceSpans: [{ scopeSpans: [{ spans: [{ traceId: '1', spanId: '000000000000000A', kind: 2 }] }] }] };
    const jaeger = { data: [{ traceID: '1', spans: [{ traceID: '1', spanID: 'a', references: [{ spanID: 'a0' }] }] }] };
    const { binaryAnnotations: _, ...bare } = first;
    for (const file of [[first], [bare], telemetry, jaeger]) {
      const { spans, others } = spansIn(file, '000000000000000a');
      expect([spans.length, others.length]).toEqual([0, 1]);
    }
    expect(spansIn([{ ...zipkin, tags: null }, { ...zipkin, annotations: 5 }], '000000000000000a').spans).toEqual([]);
  });

  it('is read plain and as gzip', async () => {
    const json = JSON.stringify([zipkin]);
    const gzip = new Blob([json]).stream().pipeThrough(new CompressionStream('gzip'));
    expect(await readFile(await new Response(gzip).blob())).toEqual([zipkin]);
    expect(await readFile(new Blob([json]))).toEqual([zipkin]);
  });
});

describe('what is usual', () => {
  const point = (count: number, more = {}) => ({ startTs: 0, rate: 1, errors: 0, count, ...more });

  it('is told by version, the own one first, by its busiest step', () => {
    const old = { version: '1', points: [point(3, { p50: 99 }), point(100, { p50: 10, p90: 20, p95: 40, p99: 40 }), point(0)] };
    const own = { version: '2', points: [point(5, { p50: 30, p95: 40, p99: 41 })] };
    expect(usualOf({ series: [old, own, { points: [point(0)] }] }, 20.5, '2')).toEqual([
      { version: '2', count: 5, p50: 30, p95: 40, above: undefined },
      { version: '1', count: 100, p50: 10, p95: 40, above: 'p90' },
    ]);
    expect(usualOf({ series: [own] }, 99, '1')[0]?.above).toBe('p99');
    expect(usualOfVersion({ series: [old, own] }, 20.5, '2')?.version).toBe('2');
    expect(usualOfVersion({ series: [old, own] }, 20.5, undefined)).toBeUndefined();
    expect(usualOfVersion({ series: [old, own] }, 20.5, '3')).toBeUndefined();
  });
});

describe('operations', () => {
  it('are summed, most time of their own first', () => {
    const operations = operationsOf(shop.rows, 0, 4, shown);
    expect(operations.map(({ calls, errors, total, self, critical, longest, slowest }) => [calls, errors, total, self, critical, longest, slowest])).toEqual([
      [2, 1, 80, 80, 30, 50, 2],
      [1, 0, 100, 20, 20, 100, 0],
      [1, 0, 10, 10, 0, 10, 3],
    ]);
  });

  it('are those below a row, without hidden services', () => {
    expect(operationsOf(shop.rows, 2, 4, shown).length).toBe(2);
    expect(operationsOf(shop.rows, 0, 4, Uint8Array.of(0, 1, 0)).length).toBe(2);
  });
});

describe('call paths', () => {
  const boxes = flameOf(shop.rows, 0, 4, shown);

  it('are one box for calls of one path, as wide as what is in them', () => {
    expect(boxes.map(({ depth, calls, self, total, left, errors, slowest }) => [depth, calls, self, total, left, errors, slowest])).toEqual([
      [0, 1, 20, 110, 0, 0, 0],
      [1, 2, 80, 90, 0, 1, 2],
      [2, 1, 10, 10, 0, 0, 3],
    ]);
    expect(flameWidth(boxes)).toBe(110);
  });

  it('are beside each other, in the order in which they began', () => {
    const fan = viewOf(row('web get', { self: 5 }), row('. a a', { self: 10 }), row('. b b', { self: 20 }), row('. . c c', { self: 1 }), row('. d d', { self: 2 }), row('other root', { self: 7 }));
    expect(flameOf(fan.rows, 0, 6, shown).map(({ left, total }) => [left, total])).toEqual([[0, 38], [0, 10], [10, 21], [10, 1], [31, 2], [38, 7]]);
  });

  it('begin at the row that is looked at, and leave hidden services out', () => {
    expect(flameOf(shop.rows, 2, 4, shown).map(({ depth }) => depth)).toEqual([0, 1]);
    const without = flameOf(shop.rows, 0, 4, Uint8Array.of(0, 1, 0));
    expect(without.map(({ depth, total }) => [depth, total])).toEqual([[0, 30], [1, 10]]);
  });
});

describe('the strip', () => {
  it('has every row where it was, failures above all', () => {
    const fills = ['rgb(1, 0, 0)', 'rgb(2, 0, 0)', 'rgb(3, 0, 0)'].map((colour) => ({ colour, hatched: false }));
    const whole = { from: 0, to: 100 };
    const strip = { rows: shop.rows, fills, fail: 'rgb(9, 0, 0)', hidden: shown, first: 0, last: 4, whole, width: 10, height: 4 };
    const reds = [...minimapPixels(strip)].map((pixel) => pixel & 255).join('');
    expect(reds).toBe('1111111111' + '0999000000' + '0000022222' + '0000003000');
    const hidden = [...minimapPixels({ ...strip, hidden: Uint8Array.of(0, 1, 0) })].map((pixel) => pixel & 255).join('');
    expect(hidden).toBe('1111111111' + '0000000000' + '0000000000' + '0000003000');
  });

  it('packs colours as image data has them', () => {
    expect(packed('rgb(1, 2, 3)')).toBe(0xff030201);
  });
});

describe('what leaves the page', () => {
  it('fills addresses, and makes none of what leads nowhere', () => {
    const values = { traceId: 'a b', spanId: '1' };
    expect(filled('https://logs/{traceId}/{spanId}?x={other}', values)).toBe('https://logs/a%20b/1?x={other}');
    expect([filled(null, values), filled('', values), filled('javascript:alert(1)', values)]).toEqual([null, null, null]);
    expect(filled('/logs/{spanId}', values)).toBe('/logs/1');
  });

  it('marks the first span without a parent as archived, as Zipkin does', () => {
    const spans = [{ traceId: 't', id: '2', parentId: '1' }, { traceId: 't', id: '1', tags: { a: 'b' } }, { traceId: 't', id: '3' }];
    expect(markedAsArchived(spans).map(({ tags }) => tags)).toEqual([undefined, { a: 'b', 'zipkin.archived': 'true' }, undefined]);
  });

  it('has the longest on the critical path first in a summary, and no markup of the trace', () => {
    const markdown = markdownOf(viewOf(row('web <b>|x'), row('. db select', { critical: 5 })), 'http://here/');
    const lines = markdown.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| ---'));
    expect(lines.slice(1)).toEqual(['| db select | 1 | 0 | 10 µs | 5 µs (100 %) |', '| web \\<b\\>\\|x | 1 | 0 | 10 µs | 0 µs (0 %) |']);
    expect(markdown).toContain('[Trace t](http://here/)');
  });
});

describe('notes', () => {
  it('are a sentence a kind, the worst first', () => {
    const said = notesOf(
      {
        ...shop,
        notes: [
          { kind: 'merged', rows: 2 },
          { kind: 'clock_skew', service: 'db', row: 1, microseconds: -2500 },
          { kind: 'clock_skew', row: 3, microseconds: 1 },
          { kind: 'missing_parent', row: 2, parentId: 'x' },
          { kind: 'cycle', row: 1, parentId: 'y' },
          { kind: 'truncated', total: 5000 },
        ],
      },
      'a segment is damaged',
    );
    expect(said.map(({ words }) => words)).toEqual([
      'Not everything was looked at: a segment is damaged',
      'Only the first 4 of 5,000 rows are shown: a browser has no memory for more. The rest is in the JSON.',
      '1 span without its parent: some of this trace was not received, or not yet.',
      '1 span named as parent what is below it: cut there.',
      'The clock of db differs: its times were moved by −2.5 ms. So was 1 more clock.',
    ]);
    expect(said.map(({ row }) => row)).toEqual([undefined, undefined, 2, 1, 1]);
    expect(said[1]?.way).toBe('download');
  });

  const long = { ...shop, spanCount: 30_000 };

  it.each([
    [long, { state: 'left' }, [/^Tags and annotations of so many spans \(30,000\)/, 'read-tags']],
    [long, { state: 'reading' }, [/being read…$/, undefined]],
    [long, { state: 'part', spans: 9000 }, [/first 9,000 of 30,000 spans are read/, undefined]],
    [long, { state: 'failed', message: 'no disk' }, [/could not be read: no disk$/, 'read-tags']],
    [long, { state: 'whole' }, undefined],
    [shop, { state: 'reading' }, undefined],
    [shop, null, undefined],
  ] as const)('tell how far tags are read', (view, tags, expected) => {
    const said = notesOf(view, null, tags);
    expect(said).toHaveLength(expected ? 1 : 0);
    if (expected) expect(said[0]?.words).toMatch(expected[0]);
    expect(said[0]?.way).toBe(expected?.[1]);
  });
});
