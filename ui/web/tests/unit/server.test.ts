/** What the shell makes of what its server says. */
import { describe, expect, it } from 'vitest';

import type { JudgedDeployment } from '../../src/api/schema';
import { matchesOf } from '../../src/shell/finding';
import { isOtherVersion, openRegressions, retryAfter, verdictChanges } from '../../src/shell/server';

const NOW = 1_700_000_000_000;

const deployment = (id: string, more: Partial<JudgedDeployment> = {}): JudgedDeployment => ({
  id,
  serviceName: `service-${id}`,
  version: '1.0',
  startTs: NOW - 1000,
  inferred: false,
  rollback: false,
  ...more,
});

it('asks a server that is gone less and less often, but at least every half minute', () => {
  expect([1, 2, 3, 4, 5, 6, 100].map(retryAfter)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
});

it('counts what regressed in the last day and was not taken back or followed', () => {
  const deployments = [
    deployment('a', { verdict: 'regressed' }),
    deployment('b', { verdict: 'regressed', startTs: NOW - 86_400_001 }),
    deployment('c', { verdict: 'regressed', rolledBackTs: NOW }),
    deployment('d', { verdict: 'regressed', supersededBy: 'a' }),
    deployment('e', { verdict: 'improved' }),
    deployment('f'),
  ];
  expect(openRegressions(deployments, NOW).map(({ id }) => id)).toEqual(['a']);
});

it('knows which verdicts changed, and takes a deployment never seen before for no change', () => {
  const before = [deployment('a'), deployment('b', { verdict: 'regressed' }), deployment('c', { verdict: 'improved' }), deployment('d')];
  const after = [
    deployment('n', { verdict: 'regressed' }),
    deployment('a', { verdict: 'regressed' }),
    deployment('b', { verdict: 'regressed' }),
    deployment('c'),
    deployment('d', { verdict: 'insufficient_data' }),
  ];
  expect(verdictChanges(before, after).map(({ id }) => id)).toEqual(['a']);
  expect(verdictChanges([], after)).toEqual([]);
});

it.each([
  ['<script src="./assets/a.js">', './assets/a.js', false],
  ['<script src="./assets/b.js">', './assets/a.js', true],
  ['', './assets/a.js', false],
  ['<script src="./assets/b.js">', null, false],
])('a page %s is of another version than %s: %s', (index, script, expected) => {
  expect(isOtherVersion(index, script)).toBe(expected);
});

describe('a find', () => {
  const findable = {
    services: ['web', 'cafe', 'my-cafe', 'cafe/menu'],
    deployments: [deployment('1', { serviceName: 'web', version: '2.0' })],
  };
  const found = (typed: string) => matchesOf(typed, findable).map(({ kind, path }) => `${kind} ${path}`);

  it('of nothing are deployments and pages', () => {
    expect(found('').slice(0, 2)).toEqual(['deployment deployments/1', 'page ']);
  });

  it('of a whole trace ID is the trace first, however it was pasted', () => {
    expect(found(' 463AC35C9F6413AD ')[0]).toBe('trace traces/463ac35c9f6413ad');
  });

  it('of letters are names that begin so, names that have them, a short trace ID, and the text', () => {
    expect(found('cafe')).toEqual([
      'service services/cafe',
      'service services/cafe%2Fmenu',
      'service services/my-cafe',
      'trace traces/cafe',
      'text ?q=cafe',
    ]);
    expect(found('WEB 2')).toEqual(['deployment deployments/1', 'text ?q=WEB+2']);
  });

  it('is bounded', () => {
    const services = Array.from({ length: 1000 }, (_, index) => `s${index}`);
    expect(matchesOf('s', { services, deployments: [] }).filter(({ kind }) => kind === 'service')).toHaveLength(6);
  });
});
