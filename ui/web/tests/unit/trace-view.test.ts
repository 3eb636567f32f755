/** What a trace's page shows: events, tags, colours, and which rows are in sight. */
import { describe, expect, it } from 'vitest';

import type { Span } from '../../src/api';
import { serviceColours } from '../../src/service-colour';
import { eventsOf, formatEndpoint, tagsOf } from '../../src/trace/detail';
import { BAND_HEIGHT, INLINE_HEIGHT, lineAtHeight, lineTop, move, ROW_HEIGHT, scrollTopFor, windowOf } from '../../src/trace/scrolling';

const client: Span = {
  traceId: 't',
  id: 'a',
  kind: 'CLIENT',
  timestamp: 100,
  duration: 50,
  localEndpoint: { serviceName: 'web' },
  tags: { 'http.method': 'GET', error: '500', cached: '' },
  annotations: [{ timestamp: 110, value: 'retry' }],
};
const server: Span = {
  traceId: 't',
  id: 'a',
  kind: 'SERVER',
  shared: true,
  timestamp: 105,
  duration: 20,
  localEndpoint: { serviceName: 'shop' },
  tags: { 'http.method': 'GET', 'http.path': '/' },
};
const reported = { spans: [client, server], skew: 0, skews: [0, 0] };

describe('the panel', () => {
  it('tells what happened in order, begins and ends among it', () => {
    expect(eventsOf(reported).map(({ timestamp, text, serviceName }) => [timestamp, text, serviceName])).toEqual([
      [100, 'Client start', 'web'],
      [105, 'Server start', 'shop'],
      [110, 'retry', 'web'],
      [125, 'Server finish', 'shop'],
      [150, 'Client finish', 'web'],
    ]);
  });

  it('moves what another clock timed', () => {
    const events = eventsOf({ ...reported, skews: [0, -3] });
    expect(events.map(({ timestamp }) => timestamp)).toEqual([100, 102, 110, 122, 150]);
  });

  it('has the error first, and once what both sides say', () => {
    expect(tagsOf(reported.spans).map(({ key, value }) => [key, value])).toEqual([
      ['error', '500'],
      ['cached', ''],
      ['http.method', 'GET'],
      ['http.path', '/'],
    ]);
  });

  it.each([
    [undefined, '–'],
    [{}, '–'],
    [{ serviceName: 'web' }, 'web'],
    [{ serviceName: 'web', ipv4: '10.0.0.7', port: 80 }, 'web 10.0.0.7:80'],
    [{ ipv6: '::1', port: 80 }, '[::1]:80'],
    [{ ipv6: '::1' }, '::1'],
  ])('writes the endpoint %o', (endpoint, text) => {
    expect(formatEndpoint(endpoint)).toBe(text);
  });
});

describe('colours', () => {
  const names = Array.from({ length: 20 }, (_, index) => `service-${index}`);

  it('are all different as long as there are any', () => {
    const slots = [...serviceColours(names.slice(0, 8)).values()].map((colour) => colour.slot);
    expect(new Set(slots).size).toBe(8);
  });

  it('are the same for everybody, whatever came first', () => {
    expect(serviceColours(names.toReversed())).toEqual(serviceColours(names));
  });

  it('are told apart by hatching when they come again', () => {
    const looks = [...serviceColours(names.slice(0, 16)).values()].map(({ slot, hatched }) => `${slot}${hatched}`);
    expect(new Set(looks).size).toBe(16);
  });
});

describe('scrolling', () => {
  it('draws what is in sight and little more', () => {
    const { first, last } = windowOf(50_000 * ROW_HEIGHT, 800, 100_000, -1);
    expect(first).toBeLessThan(50_000);
    expect(last).toBeGreaterThanOrEqual(50_000 + 800 / ROW_HEIGHT);
    expect(last - first).toBeLessThan(100);
    expect(windowOf(0, 800, 3, -1)).toEqual({ first: 0, last: 3 });
    expect(windowOf(1_000_000, 800, 3, -1)).toEqual({ first: 3, last: 3 });
  });

  it('goes no further than it must', () => {
    const height = 10 * ROW_HEIGHT + BAND_HEIGHT;
    expect(scrollTopFor(5, 0, height, -1)).toBe(0);
    expect(scrollTopFor(10, 0, height, -1)).toBe(ROW_HEIGHT);
    expect(scrollTopFor(2, 10 * ROW_HEIGHT, height, -1)).toBe(2 * ROW_HEIGHT);
    expect(scrollTopFor(-1, 7, height, -1)).toBe(7);
  });

  it('leaves room for details that are open below a line', () => {
    expect([lineTop(4, 4), lineTop(5, 4)]).toEqual([4 * ROW_HEIGHT, 5 * ROW_HEIGHT + INLINE_HEIGHT]);
    for (const line of [0, 4, 5, 90]) expect(lineAtHeight(lineTop(line, 4), 4)).toBe(line);
    expect(lineAtHeight(5 * ROW_HEIGHT + 100, 4)).toBe(4);
    expect(windowOf(0, 10 * ROW_HEIGHT, 100, 4).last).toBeGreaterThan(5);
  });

  it('follows the keys, and stops at either end', () => {
    const keys = ['ArrowDown', 'ArrowUp', 'PageDown', 'PageUp', 'Home', 'End', 'x'];
    expect(keys.map((key) => move(key, 50, 100, 10 * ROW_HEIGHT))).toEqual([51, 49, 59, 41, 0, 99, null]);
    expect([move('ArrowUp', 0, 100, 280), move('ArrowDown', 99, 100, 280)]).toEqual([0, 99]);
  });
});
