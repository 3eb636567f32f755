/** Addresses, with the names and the leniency that links to a Zipkin need. */
import { describe, expect, it } from 'vitest';

import type { UiConfig } from '../../src/api';
import {
  addressOf,
  apiParameters,
  defaultQuery,
  errorsOf,
  hasConditions,
  queryOf,
  type SearchQuery,
  widened,
  windowOf,
} from '../../src/search/query';

const config: UiConfig = {
  environment: '',
  queryLimit: 10,
  defaultLookback: 900_000,
  searchEnabled: true,
  logsUrl: null,
  supportUrl: null,
};

const NOW = 1_700_000_000_000;

const query = (search: string, tagKeys: string[] = []) => queryOf(search, config, tagKeys);
const parameters = (search: string) => Object.fromEntries(apiParameters(query(search), NOW));

describe('an address', () => {
  it('that says nothing is the default search', () => {
    expect(query('')).toEqual(defaultQuery(config));
    expect(query('')).toMatchObject({ lookback: '15m', limit: 10, sort: 'newest', endTs: null });
    expect(addressOf(query(''), config)).toBe('');
  });

  it("has Zipkin's names", () => {
    const search =
      '?serviceName=web&spanName=get+%2F&remoteServiceName=db&annotationQuery=error+and+a%3Db' +
      '&q=timeo*&minDuration=10ms&maxDuration=1s&lookback=1h&endTs=1700000000000&limit=25&sort=errors';
    const expected: SearchQuery = {
      serviceName: 'web',
      spanName: 'get /',
      remoteServiceName: 'db',
      version: '',
      annotationQuery: 'error and a=b',
      q: 'timeo*',
      minDuration: '10ms',
      maxDuration: '1s',
      lookback: '1h',
      millis: 900_000,
      startTs: null,
      endTs: NOW,
      limit: 25,
      sort: 'errors',
    };
    expect(query(search)).toEqual(expected);
    expect(Object.fromEntries(new URLSearchParams(addressOf(expected, config)))).toEqual(
      Object.fromEntries(new URLSearchParams(search)),
    );
  });

  it.each([
    '?lookback=range&startTs=1699999000000&endTs=1700000000000',
    '?lookback=millis&millis=120000',
    '?serviceName=a%26b&lookback=7d&sort=slowest',
    '?limit=500',
  ])('comes back from its query: %s', (search) => {
    expect(addressOf(query(search), config)).toBe(search);
  });

  it('may say all for any, and a bare number for the lookback', () => {
    expect(query('?serviceName=all&spanName=all')).toMatchObject({ serviceName: '', spanName: '' });
    expect(query('?lookback=3600000')).toMatchObject({ lookback: 'millis', millis: 3_600_000 });
  });

  it('that makes no sense has the defaults instead', () => {
    expect(query('?lookback=soon&limit=-1&sort=name&endTs=x&startTs=0')).toEqual(defaultQuery(config));
    expect(query('?lookback=range')).toEqual(defaultQuery(config));
    expect(query('?lookback=1h&startTs=1699999000000').startTs, 'a begin is of a range').toBeNull();
  });

  it('may have the keys of tags as parameters', () => {
    const search = '?annotationQuery=error&environment=prod&clnt/finagle.version=6.45.0&other=x';
    expect(query(search, ['environment', 'clnt/finagle.version']).annotationQuery).toBe(
      'error and environment=prod and clnt/finagle.version=6.45.0',
    );
    expect(query(search).annotationQuery).toBe('error');
  });

  it('leaves the lookback of a configuration of its own as milliseconds', () => {
    const other = { ...config, defaultLookback: 90_000, queryLimit: 0 };
    expect(defaultQuery(other)).toMatchObject({ lookback: 'millis', millis: 90_000, limit: 10 });
  });
});

describe('the question to the server', () => {
  it('ends now unless the address says when', () => {
    expect(parameters('')).toEqual({ endTs: String(NOW), lookback: '900000', limit: '10', sort: 'newest' });
    expect(parameters('?endTs=1000000&lookback=5m')).toMatchObject({ endTs: '1000000', lookback: '300000' });
    expect(parameters('?lookback=range&startTs=400000&endTs=1000000')).toMatchObject({
      endTs: '1000000',
      lookback: '600000',
    });
  });

  it('has durations in microseconds', () => {
    expect(parameters('?minDuration=1.5s&maxDuration=2s')).toMatchObject({
      minDuration: '1500000',
      maxDuration: '2000000',
    });
  });

  it('has the text as it was typed', () => {
    expect(parameters('?q=all+%22a+b%22')).toMatchObject({ q: 'all "a b"' });
    expect(query('?q=all')).toMatchObject({ q: 'all' });
  });

  it('has a minimum wherever it has a maximum, which the server insists on', () => {
    expect(parameters('?maxDuration=5ms')).toMatchObject({ minDuration: '1', maxDuration: '5000' });
    expect(parameters('?minDuration=5ms')).not.toHaveProperty('maxDuration');
  });

  it('never has a range that ends before it begins', () => {
    const { startTs, endTs } = windowOf(query('?lookback=range&startTs=2000000&endTs=1000000'), NOW);
    expect(startTs).toBeLessThan(endTs);
  });
});

describe('mistakes', () => {
  it('are said at their field', () => {
    expect(errorsOf(query(''))).toEqual({});
    expect(Object.keys(errorsOf(query('?minDuration=fast&maxDuration=1h')))).toEqual(['minDuration', 'maxDuration']);
    expect(Object.keys(errorsOf(query('?minDuration=2s&maxDuration=1s')))).toEqual(['maxDuration']);
    expect(Object.keys(errorsOf(query('?limit=10001')))).toEqual(['limit']);
    expect(Object.keys(errorsOf(query('?lookback=range&startTs=2&endTs=1')))).toEqual(['endTs']);
    expect(Object.keys(errorsOf(query('?lookback=range&startTs=2&endTs=2')))).toEqual(['endTs']);
  });

  it('are not at the edge of what may be asked', () => {
    expect(errorsOf(query('?minDuration=1s&maxDuration=1000ms'))).toEqual({});
    expect(errorsOf(query('?limit=10000'))).toEqual({});
    expect(errorsOf(query('?lookback=range&startTs=2&endTs=3'))).toEqual({});
  });
});

describe('ways out of nothing', () => {
  it('a week keeps the conditions', () => {
    const wide = widened(query('?serviceName=web&lookback=range&startTs=1&endTs=2'));
    expect(addressOf(wide, config)).toBe('?serviceName=web&lookback=7d');
  });

  it('time is no condition', () => {
    expect(hasConditions(query('?lookback=1m&endTs=5'))).toBe(false);
    expect(hasConditions(query('?annotationQuery=error'))).toBe(true);
  });
});
