/** Which deployments are asked for and shown. */
import { describe, expect, it } from 'vitest';

import type { Finding, JudgedDeployment, SloState } from '../../src/api/schema';
import { listParameters, questionOf, shownOf, worstFinding } from '../../src/deployments/question';
import { spentOf } from '../../src/deployments/spent';
import { newestFirst, worstQuestion } from '../../src/deployments/worst';
import { isGoingOn, standingOf, waveOf } from '../../src/rollouts';

const NOW = 1_800_000_000_000;

describe('the question', () => {
  it('is of the last week unless it says otherwise', () => {
    expect(listParameters(questionOf(''), NOW)).toEqual({ endTs: String(NOW), lookback: '604800000', limit: '100' });
  });

  it('is in the address', () => {
    const question = questionOf('?serviceName=+Shop&environment=prod&verdict=regressed&lookback=1h&endTs=5000000&limit=7');
    expect(question.verdict).toBe('regressed');
    expect(listParameters(question, NOW)).toEqual({ serviceName: 'shop', environment: 'prod', endTs: '5000000', lookback: '3600000', limit: '7' });
  });

  it('may be of all times', () => {
    const question = questionOf('?lookback=all');
    expect(listParameters(question, NOW)).toEqual({ limit: '100' });
  });

  it.each([['limit=0'], ['limit=x'], ['limit=-3'], ['limit=7.5'], ['verdict=nonsense']])('is not moved by nonsense: %s', (search) => {
    expect(questionOf(`?${search}`)).toEqual(questionOf(''));
  });

  it('is never of more than the server gives', () => {
    expect(questionOf('?limit=99999').limit).toBe(1000);
  });
});

describe('what is shown', () => {
  const deployment = (id: string, more: Partial<JudgedDeployment>): JudgedDeployment => ({ id, serviceName: 's', version: '1', startTs: NOW - 1000, inferred: false, rollback: false, ...more });
  const all = [
    deployment('going', {}),
    deployment('bad', { endTs: NOW - 1, verdict: 'regressed' }),
    deployment('fresh', { endTs: NOW - 1 }),
    deployment('early', { verdict: 'regressed', score: 80, strategy: 'canary', inferred: true }),
    deployment('better', { endTs: NOW - 1, verdict: 'improved', score: 99, strategy: 'rolling', rollback: true }),
  ];
  const anything = { verdict: undefined, kind: '', source: undefined };
  it.each([
    [undefined, 'going bad fresh early better'],
    ['regressed', 'bad early'],
    ['running', 'going early'],
    ['pending', 'fresh'],
    ['improved', 'better'],
    ['unchanged', ''],
    ['fail', 'bad'],
    ['marginal', 'early'],
    ['pass', 'better'],
    ['insufficient_data', ''],
  ] as const)('by %s', (filter, expected) => {
    expect(shownOf(all, { ...anything, verdict: filter }, NOW).map(({ id }) => id).join(' ')).toBe(expected);
  });

  it.each([
    ['kind=canary', 'early'],
    ['kind=rolling', 'better'],
    ['kind=return', 'better'],
    ['source=inferred', 'early'],
    ['source=declared', 'going bad fresh better'],
    ['source=declared&kind=canary', ''],
    ['source=elsewhere', 'going bad fresh early better'],
  ])('with %s', (search, expected) => {
    expect(shownOf(all, questionOf(`?${search}`), NOW).map(({ id }) => id).join(' ')).toBe(expected);
  });

  it('asks about a deployment again only where another answer may come', () => {
    const deployment = { id: 'x', serviceName: 'shop', version: '2', startTs: NOW, inferred: false, rollback: false } as JudgedDeployment;
    const asked = (more: Partial<JudgedDeployment>) => worstQuestion({ ...deployment, ...more });
    expect(asked({ supersededBy: 'y', metadata: { a: 'b' } })).toBe(asked({}));
    const others = [{}, { verdict: 'regressed' }, { verdict: 'unchanged' }, { score: 5 }, { endTs: NOW }, { rolledBackTs: NOW }, { id: 'y' }] as Partial<JudgedDeployment>[];
    expect(new Set(others.map(asked)).size).toBe(others.length);
    const [older, newer, newest] = [asked({}), asked({ startTs: NOW + 1 }), asked({ startTs: NOW + 2 })] as const;
    expect(newestFirst([newer, newest, older])).toEqual([newest, newer, older]);
  });

  it('has the worst finding of a deployment, what it caused first', () => {
    const finding = (causedByDeployment: boolean, summary: string) => ({ causedByDeployment, summary }) as Finding;
    expect(worstFinding([finding(false, 'load'), finding(true, 'first'), finding(true, 'second')])?.summary).toBe('first');
    expect(worstFinding([finding(false, 'load'), finding(false, 'mix')])?.summary).toBe('load');
    expect(worstFinding([])).toBeUndefined();
  });
});

describe('what it cost of error budgets', () => {
  const state = (name: string, spentByDeployment: number | null | undefined, fastBurn = false) => ({ name, objective: 0.99, fastBurn, ...(spentByDeployment !== undefined && { spentByDeployment }) }) as SloState;
  it.each([
    ['nothing where none is told', [], undefined],
    ['what lost most', [state('a', 0), state('b', 0.4), state('c', 0.2)], { name: 'b', share: 0.4, burns: false, of: 3 }],
    ['what burns before what lost more', [state('a', 0.9), state('b', 0.1, true)], { name: 'b', share: 0.1, burns: true, of: 2 }],
    ['what is told before what is not', [state('a', null), state('b', 0)], { name: 'b', share: 0, burns: false, of: 2 }],
    ['no share of too few requests', [state('a', null)], { name: 'a', burns: false, of: 1 }],
    ['nor of an old report without it', [state('a', undefined)], { name: 'a', burns: false, of: 1 }],
  ])('is %s', (_, states, expected) => {
    expect(spentOf(states)).toEqual(expected);
  });
});

describe('how a deployment stands', () => {
  it.each([
    ['regressed', 89, 'marginal'],
    ['regressed', 75, 'marginal'],
    ['regressed', 74.9, 'fail'],
    ['regressed', undefined, 'fail'],
    ['unchanged', 90, 'pass'],
    ['unchanged', 89.9, 'marginal'],
    ['unchanged', 60, 'fail'],
    ['improved', undefined, 'pass'],
    ['insufficient_data', undefined, 'insufficient_data'],
    ['insufficient_data', 100, 'insufficient_data'],
    [undefined, 100, 'pending'],
    [null, null, 'pending'],
  ] as const)('%s with %s: %s', (verdict, score, expected) => {
    expect(standingOf(verdict, score)).toBe(expected);
  });

  it.each([
    ['since a minute, with no end told', { startTs: NOW - 60_000 }, true],
    ['with its end ahead', { startTs: NOW - 60_000, endTs: NOW + 1 }, true],
    ['that is over', { startTs: NOW - 60_000, endTs: NOW }, false],
    ['whose end nobody told for a day', { startTs: NOW - 86_400_000 }, false],
    ['for a day, with its end ahead', { startTs: NOW - 86_400_000, endTs: NOW + 1 }, true],
    ['that is still to come', { startTs: NOW + 1 }, false],
    ['that was replaced', { startTs: NOW - 60_000, supersededBy: 'y' }, false],
    ['that was taken back', { startTs: NOW - 60_000, rolledBackTs: NOW - 1 }, false],
  ])('goes on or not: one %s', (_, more, expected) => {
    expect(isGoingOn({ id: 'x', serviceName: 's', version: '1', inferred: false, rollback: false, ...more }, NOW)).toBe(expected);
  });

  it('counts instances as they switch', () => {
    const instances = [-2, -1, 0, 1].map((minutes) => ({ ip: '::1', switchTs: NOW + minutes * 60_000 }));
    const base = { id: 'x', serviceName: 's', version: '1', startTs: NOW, inferred: false, rollback: false };
    expect(waveOf({ ...base, instances }, NOW)).toEqual({ switched: 3, all: 4 });
    expect(waveOf(base, NOW)).toEqual({ switched: 0, all: 0 });
  });
});
