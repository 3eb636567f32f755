/** Which page an address is, under any base. */
import { describe, expect, it } from 'vitest';

import { isTraceId, normalTraceId, pathOf, routeOf, withParameters } from '../../src/location';

describe('routes', () => {
  it.each(['/zipkin/', '/', '/admin/zipkin/'])('below %s', (base) => {
    expect(routeOf(base, base)).toEqual({ page: 'search' });
    expect(routeOf(`${base}index.html`, base)).toEqual({ page: 'search' });
    expect(routeOf(`${base}traces/463AC35C9F6413AD`, base)).toEqual({ page: 'trace', traceId: '463ac35c9f6413ad' });
    expect(routeOf(`${base}traces/%20a/`, base)).toEqual({ page: 'trace', traceId: 'a' });
    expect(routeOf(`${base}traces/`, base)).toEqual({ page: 'unknown' });
    expect(routeOf(`${base}dependency`, base)).toEqual({ page: 'map' });
    expect(routeOf(`${base}services/cart/get%20%2Fcart`, base)).toEqual({
      page: 'operation',
      serviceName: 'cart',
      spanName: 'get /cart',
    });
    expect(routeOf(`${base}deployments/a%2Fb`, base)).toEqual({ page: 'report', deploymentId: 'a/b' });
    expect(routeOf(`${base}traces/1/2`, base)).toEqual({ page: 'unknown' });
    expect(routeOf(`${base}constructor`, base)).toEqual({ page: 'unknown' });
    expect(routeOf(`${base}nothing`, base)).toEqual({ page: 'unknown' });
  });

  it('survive a broken escape', () => {
    expect(routeOf('/zipkin/traces/%', '/zipkin/')).toEqual({ page: 'trace', traceId: '%' });
  });
});

describe('parameters', () => {
  it('change one by one', () => {
    expect(withParameters('?a=1&b=2', { a: null, c: 'x y' })).toBe('?b=2&c=x+y');
    expect(withParameters('?a=1', { a: null })).toBe('');
  });

  it('of paths may be anything', () => {
    expect(routeOf(`/${pathOf('services', 'a/b', 'get /x?y#z%')}`, '/')).toEqual({
      page: 'operation',
      serviceName: 'a/b',
      spanName: 'get /x?y#z%',
    });
  });
});

describe('trace identifiers', () => {
  it.each([
    ['463ac35c9f6413ad', true],
    ['463ac35c9f6413ad48485a3953bb6124', true],
    ['1', true],
    ['0000', false],
    ['', false],
    ['xyz', false],
    ['463ac35c9f6413ad48485a3953bb61240', false],
  ])('%s: %s', (text, valid) => {
    expect(isTraceId(text)).toBe(valid);
  });

  it('are taken as pasted', () => {
    expect(normalTraceId(' 463AC35C9F6413AD\n')).toBe('463ac35c9f6413ad');
  });
});
