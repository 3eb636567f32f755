/** Trees of spans as they come: in any order, halves shared, parents missing, and worse. */
import { describe, expect, it } from 'vitest';

import type { Span } from '../../src/api';
import { activePosition, buildTrace, parentIndex, type Row, type Trace, visibleRows } from '../../src/trace/tree';

let clock = 1_700_000_000_000_000;

function span(id: string, parentId?: string, more: Partial<Span> = {}): Span {
  const parent = parentId === undefined ? {} : { parentId };
  const localEndpoint = { serviceName: `service-${id}` };
  return { traceId: 't', id, ...parent, name: `span-${id}`, timestamp: clock++, duration: 10, localEndpoint, ...more };
}

function build(...spans: Span[]): Trace {
  return buildTrace('t', spans);
}

/** The rows as an outline: `a(b(c)d)`. */
function outline(trace: Trace): string {
  let text = '';
  let depth = -1;
  for (const row of trace.rows) {
    if (row.depth > depth) text += '('.repeat(row.depth - Math.max(depth, 0));
    else text += ')'.repeat(depth - row.depth);
    if (text !== '' && !text.endsWith('(') && !text.endsWith(')')) text += ' ';
    text += row.id;
    depth = row.depth;
  }
  return text + ')'.repeat(Math.max(depth, 0));
}

/** Every row's subtree is what follows it and is deeper, and nothing else. */
function expectSubtrees(trace: Trace): void {
  trace.rows.forEach((row, index) => {
    let end = index + 1;
    while (end < trace.rows.length && (trace.rows[end] as Row).depth > row.depth) end++;
    expect(row.end, row.id).toBe(end);
  });
}

describe('the tree', () => {
  it('nests rows below their parents, siblings by time', () => {
    const early = span('c', 'a', { timestamp: 5 });
    const late = span('b', 'a', { timestamp: 9 });
    const trace = build(late, span('d', 'c'), early, span('a', undefined, { timestamp: 1 }));
    expect(outline(trace)).toBe('a(c(d)b)');
    expectSubtrees(trace);
  });

  it('makes one row of the halves of a shared span', () => {
    const server = span('b', 'a', { kind: 'SERVER', shared: true, name: 'get /x', timestamp: 120, duration: 30 });
    const client = span('b', 'a', { kind: 'CLIENT', name: 'get', timestamp: 100, duration: 80 });
    const trace = build(server, span('a'), client, span('c', 'b'));
    expect(outline(trace)).toBe('a(b(c))');
    const row = trace.rows[1] as Row;
    expect(row.spans).toEqual([client, server]);
    expect([row.name, row.kind, row.timestamp, row.duration]).toEqual(['get /x', 'SERVER', 100, 80]);
    expect(trace.spanCount).toBe(4);
  });

  it('finds the parent in the other half where a half does not name it', () => {
    const server = span('b', undefined, { kind: 'SERVER', shared: true });
    const trace = build(span('a'), server, span('b', 'a', { kind: 'CLIENT' }));
    expect(outline(trace)).toBe('a(b)');
  });

  it('names a call that nobody reported to have served after who was called', () => {
    const remoteEndpoint = { serviceName: 'mysql' };
    const called = span('b', 'a', { kind: 'CLIENT', remoteEndpoint });
    expect(build(span('a'), called).rows[1]?.serviceName).toBe('mysql');
    expect(build(span('a'), called, span('c', 'b')).rows[1]?.serviceName).toBe('service-b');
  });

  it('keeps what names a parent that was not received, and says so', () => {
    const trace = build(span('x', 'lost', { timestamp: 1 }), span('y', 'x'), span('a', undefined, { timestamp: 5 }));
    expect(outline(trace)).toBe('a x(y)');
    expect(trace.rows.map((row) => row.orphaned)).toEqual([false, true, false]);
    expect(trace.orphanedCount).toBe(1);
    expectSubtrees(trace);
  });

  it('cuts circles', () => {
    const trace = build(span('a'), span('b', 'd'), span('c', 'b'), span('d', 'c'), span('e', 'e'));
    expect(outline(trace)).toBe('a e b(c(d))');
    expect(trace.orphanedCount).toBe(1);
    expectSubtrees(trace);
  });

  it('takes spans with nothing but identifiers', () => {
    const trace = build({ traceId: 't', id: 'a' }, { traceId: 't', id: 'b', parentId: 'a' });
    expect(outline(trace)).toBe('a(b)');
    expect([trace.start, trace.duration]).toEqual([undefined, 1]);
    expect(trace.rows[0]).toMatchObject({ serviceName: 'unknown service', name: 'unnamed span', failed: false });
  });

  it('spans the time from the first begin to the last end', () => {
    const trace = build(
      span('a', undefined, { timestamp: 100, duration: 50 }),
      span('b', 'a', { timestamp: 90, duration: 5 }),
      span('c', 'a', { timestamp: 140, duration: 30 }),
    );
    expect([trace.start, trace.duration]).toEqual([90, 80]);
  });

  it('counts rows that failed, services and depth', () => {
    const error = { tags: { error: '' } };
    const localEndpoint = { serviceName: 'web' };
    const trace = build(
      span('a', undefined, { localEndpoint }),
      span('b', 'a', { kind: 'CLIENT', ...error, localEndpoint }),
      span('b', 'a', { kind: 'SERVER', shared: true, ...error, localEndpoint: { serviceName: 'db' } }),
      span('c', 'a', { localEndpoint }),
    );
    expect([trace.failedCount, trace.depth]).toEqual([1, 2]);
    expect(trace.services).toEqual([
      { name: 'web', rows: 2 },
      { name: 'db', rows: 1 },
    ]);
  });

  it.each([
    ['a chain', (index: number) => index - 1],
    ['a fan', () => 0],
    ['a bush', (index: number) => Math.floor((index - 1) / 3)],
  ])('builds %s of 100,000 in linear time', (_, parentOf) => {
    const spans = Array.from({ length: 100_000 }, (_, index) =>
      index === 0 ? span('0') : span(String(index), String(parentOf(index))),
    );
    const begin = performance.now();
    const trace = buildTrace('t', [...spans.slice(50_000), ...spans.slice(0, 50_000)]);
    // A quadratic one takes minutes.
    expect(performance.now() - begin).toBeLessThan(10_000);
    expect(trace.rows.length).toBe(100_000);
    expect(trace.rows[0]?.end).toBe(100_000);
    expect(trace.orphanedCount).toBe(0);
  });
});

describe('folding', () => {
  const trace = build(span('a'), span('b', 'a'), span('c', 'b'), span('d', 'a'));
  const shown = (...collapsed: string[]) =>
    visibleRows(trace.rows, new Set(collapsed)).map((index) => trace.rows[index]?.id);

  it('hides what is below a collapsed row', () => {
    expect(shown()).toEqual(['a', 'b', 'c', 'd']);
    expect(shown('b')).toEqual(['a', 'b', 'd']);
    expect(shown('a', 'b')).toEqual(['a']);
    expect(shown('d')).toEqual(['a', 'b', 'c', 'd']);
  });

  it('leaves the focus on what a row is folded into', () => {
    const at = (id: string, ...collapsed: string[]) =>
      activePosition(trace.rows, visibleRows(trace.rows, new Set(collapsed)), id);
    expect([at('c'), at('c', 'b'), at('d', 'b'), at('d', 'a'), at('unknown')]).toEqual([2, 1, 2, 0, 0]);
  });

  it('knows the row above', () => {
    expect([0, 1, 2, 3].map((index) => parentIndex(trace.rows, index))).toEqual([-1, 0, 1, 0]);
  });
});
