/** The search's own reckoning: what the address keeps, what is left of loaded traces, points, suggestions, tags. */
import { describe, expect, it } from 'vitest';

import type { Found, TraceSummary, UiConfig } from '../../src/api';
import { conditionsOf } from '../../src/search/conditions';
import { ofDeployment } from '../../src/search/deployment-query';
import { facetsOf, isShown } from '../../src/search/facets';
import { distinct } from '../../src/search/pages';
import { absoluteAddress, addressOf, apiParameters, mayHaveTags, queryOf, rangeOf, withRange } from '../../src/search/query';
import { durationText, logSplits, narrowed, nearest, pointsOf } from '../../src/search/scatter-data';
import { keyOf, tagSuggestions } from '../../src/search/suggestions';
import { versionTagOf } from '../../src/search/version-tag';
import { comparePath, toggled, type View, viewOf, withView } from '../../src/search/view';

const config: UiConfig = { environment: '', queryLimit: 10, defaultLookback: 900_000, searchEnabled: true, logsUrl: null, supportUrl: null };
const NOW = 1_700_000_000_000;
const query = (search: string) => queryOf(search, config);
const trace = (traceId: string, more: Partial<TraceSummary> = {}): TraceSummary => ({
  traceId,
  spanCount: 1,
  errorCount: 0,
  services: [],
  ...more,
});
const NOTHING: View = { services: [], versions: [], failed: null, selected: [], as: 'list' };

describe('the view in an address', () => {
  it.each([
    '?inService=a+b&inService=c&inVersion=a+1.0&failed=true&selected=1%2Cff&view=table',
    '?serviceName=web&failed=false',
    '',
  ])('comes back: %s', (search) => {
    expect(withView(addressOf(query(search), config), viewOf(search))).toBe(search);
  });

  it('takes no nonsense', () => {
    expect(viewOf('?failed=maybe&selected=../x,1,2,3&view=cube')).toEqual({ ...NOTHING, selected: ['1', '2'] });
  });

  it('has at most two selected: of three the oldest goes, and a selected one is given back', () => {
    expect(toggled(['1', '2'], '3')).toEqual(['2', '3']);
    expect(toggled(['1', '2'], '1')).toEqual(['2']);
    expect(comparePath(['1', '2'])).toBe('compare?a=1&b=2');
  });
});

describe('an address', () => {
  it('has the order where the user likes another', () => {
    expect(queryOf('', config, [], 'slowest').sort).toBe('slowest');
    expect(queryOf('?sort=newest', config, [], 'slowest').sort).toBe('newest');
    expect(addressOf(query(''), config, 'slowest')).toBe('?sort=newest');
  });

  it('that is copied means the same whenever it is opened', () => {
    const copied = (search: string) => absoluteAddress(query(search), NOW);
    expect(copied('?serviceName=web')).toBe(`?serviceName=web&lookback=15m&endTs=${NOW}&limit=10&sort=newest`);
    expect(copied('?lookback=range&startTs=5&sort=errors')).toBe(`?lookback=range&startTs=5&endTs=${NOW}&limit=10&sort=errors`);
    expect(copied('?lookback=1500&endTs=7')).toBe('?lookback=millis&millis=1500&endTs=7&limit=10&sort=newest');
  });

  it('waits for the keys of tags only if it may have some', () => {
    expect(mayHaveTags('?serviceName=a&lookback=1h&limit=3&sort=errors&selected=1&version=2')).toBe(false);
    expect(mayHaveTags('?environment=prod')).toBe(true);
  });

  it('has a version, which is asked for by a tag, even where that tag is one of the keys', () => {
    const asked = queryOf('?serviceName=web&version=1.0&annotationQuery=error', config, ['version']);
    expect(asked).toMatchObject({ version: '1.0', annotationQuery: 'error' });
    expect(apiParameters(asked, NOW, 'service.version').get('annotationQuery')).toBe('error and service.version=1.0');
  });

  it('keeps its range, by its name where it has one', () => {
    expect(withRange(query('?serviceName=a'), { lookback: 3_600_000, endTs: 5 })).toMatchObject({ lookback: '1h', endTs: 5 });
    expect(withRange(query(''), { lookback: 1234, endTs: null })).toMatchObject({ lookback: 'millis', millis: 1234 });
    expect(rangeOf(query('?lookback=range&startTs=400&endTs=1000'), NOW)).toEqual({ lookback: 600, endTs: 1000 });
    expect(rangeOf(query('?lookback=range&startTs=400'), 1000)).toEqual({ lookback: 600, endTs: null });
  });
});

describe('a deployment as a condition', () => {
  const deployment = { serviceName: 'web', version: '2', startTs: NOW - 7_200_000 };

  it('is the hour after it, and everything so far until that has passed', () => {
    expect(ofDeployment(deployment, NOW)).toMatchObject({ serviceName: 'web', version: '2', lookback: 'range', startTs: NOW - 7_200_000, endTs: NOW - 3_600_000 });
    expect(ofDeployment({ ...deployment, endTs: NOW - 60_000 }, NOW).endTs).toBeNull();
  });
});

describe('facets', () => {
  const traces = [
    trace('1', { errorCount: 2, services: [{ serviceName: 'a', spanCount: 1, versions: ['1', '2'] }] }),
    trace('2', { services: [{ serviceName: 'a', spanCount: 1, versions: ['1'] }, { serviceName: 'b', spanCount: 1, versions: [] }] }),
    trace('3', { services: [{ serviceName: 'c', spanCount: 9 } as never] }),
    { traceId: '4', spanCount: 1, errorCount: 0 } as TraceSummary,
  ];

  it('count traces, most first', () => {
    expect(facetsOf(traces)).toEqual({
      services: [{ name: 'a', count: 2 }, { name: 'b', count: 1 }, { name: 'c', count: 1 }],
      versions: [{ name: 'a 1', count: 2 }, { name: 'a 2', count: 1 }],
      failed: 1,
      fine: 3,
    });
  });

  it.each<[Partial<View>, string]>([
    [{}, '1234'],
    [{ services: ['b', 'c'] }, '23'],
    [{ versions: ['a 1'] }, '12'],
    [{ versions: ['a 1'], failed: false }, '2'],
    [{ failed: true }, '1'],
    [{ services: ['gone'] }, ''],
  ])('%j show %s', (view, shown) => {
    expect(traces.filter((one) => isShown(one, { ...NOTHING, ...view })).map(({ traceId }) => traceId).join('')).toBe(shown);
  });
});

it('pages that have the same trace show it once, as the later one knows it', () => {
  expect(distinct([trace('1'), trace('2'), trace('1', { spanCount: 5 })])).toEqual([trace('1', { spanCount: 5 }), trace('2')]);
});

describe('the chart', () => {
  it('has the traces that have a time and a duration, in order, none of them at zero', () => {
    const points = pointsOf([
      trace('2', { timestamp: 2_000_000, duration: 0 }),
      trace('1', { timestamp: 1_000_000, duration: 5, errorCount: 1 }),
      trace('no duration', { timestamp: 3 }),
      trace('no time', { duration: 3 }),
    ]);
    expect(points.map(({ x, y, failed }) => [x, y, failed])).toEqual([[1, 5, true], [2, 1, false]]);
  });

  it('means the nearest point, but none that is far', () => {
    const places = [{ left: 0, top: 0 }, { left: 10, top: 0 }];
    expect(nearest(places, 7, 1, 12)).toBe(1);
    expect(nearest(places, 30, 30, 12)).toBe(-1);
    expect(nearest([], 0, 0, 12)).toBe(-1);
  });

  it('asks for a stretch outwards, in what the fields take', () => {
    expect(narrowed(query('?serviceName=a&lookback=1h'), { x: [1.0004, 2.0001], y: [1234.5, 98_765] })).toMatchObject({
      serviceName: 'a',
      lookback: 'range',
      startTs: 1000,
      endTs: 2001,
      minDuration: '1.23ms',
      maxDuration: '98.8ms',
    });
    expect(narrowed(query('?lookback=1h'), { y: [0.2, 900] })).toMatchObject({ lookback: '1h', minDuration: '1us', maxDuration: '900us' });
    expect(durationText(61_250_000, Math.ceil)).toBe('61.3s');
  });

  it('has round values at its side', () => {
    expect(logSplits(90, 1200)).toEqual([100, 200, 500, 1000]);
    expect(logSplits(51, 83)).toEqual([60, 70, 80]);
    expect(logSplits(0.8, 2e12)).toEqual([1, 100, 1e4, 1e6, 1e8, 1e10, 1e12]);
    expect(logSplits(1, 9e18).length).toBeLessThanOrEqual(7);
  });
});

describe('suggestions for tags', () => {
  const keys = ['env', 'http.method'];

  it.each([
    ['', ['env=', 'http.method=']],
    ['error and ht', ['error and env=', 'error and http.method=']],
    ['error and env=', ['error and env=v1', 'error and env=v2']],
    ['unknown=', []],
  ])('after "%s"', (typed, expected) => {
    expect(tagSuggestions(typed, keys, ['v1', 'v2'])).toEqual(expected);
  });

  it('need the values of the last key', () => {
    expect(keyOf('env=a and http.method=G', keys)).toBe('http.method');
    expect(keyOf('env=a and http.me', keys)).toBeNull();
    expect(keyOf('=', keys)).toBeNull();
  });
});

describe('which tag tells versions', () => {
  const found = (tag: string | null) => async (parameters: URLSearchParams): Promise<Found> => {
    expect(parameters.get('limit')).toBe('1');
    // Nothing else may keep spans of the version from being found.
    expect([...parameters.keys()].toSorted()).toEqual(['annotationQuery', 'endTs', 'limit', 'lookback', 'serviceName', 'sort']);
    const hit = tag !== null && parameters.get('annotationQuery') === `${tag}=2`;
    return { traces: hit ? [trace('1')] : [], missing: null, next: null };
  };

  it.each([
    ['service.version', 'service.version'],
    ['app.version', 'app.version'],
    [null, 'version'],
  ])('where %s finds something: %s', async (tag, expected) => {
    expect(await versionTagOf(query('?serviceName=a&version=2&spanName=get&remoteServiceName=b&annotationQuery=error&minDuration=9s&maxDuration=10s&q=x'), NOW, found(tag))).toBe(expected);
  });
});

it('conditions are told apart term by term, and all of them at once where there are more than one', () => {
  const conditions = conditionsOf(query('?serviceName=a&annotationQuery=x%3D1+and+error'));
  expect(conditions.map(({ field, value, without }) => [field, value, without.serviceName, without.annotationQuery])).toEqual([
    ['serviceName', 'a', '', 'x=1 and error'],
    ['annotationQuery', 'x=1', 'a', 'error'],
    ['annotationQuery', 'error', 'a', 'x=1'],
    [null, '', '', ''],
  ]);
  expect(conditionsOf(query('?serviceName=a'))).toHaveLength(1);
  expect(conditionsOf(query(`?annotationQuery=${Array.from({ length: 50 }, (_, index) => `t${index}`).join('+and+')}`))).toHaveLength(9);
});
