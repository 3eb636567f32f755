/** Which deployments are asked for and shown. */
import { describe, expect, it } from 'vitest';

import type { JudgedDeployment, Regression } from '../../src/api/schema';
import { findingParameters, listParameters, questionOf, shownOf, worstFindings } from '../../src/deployments/question';

const NOW = 1_800_000_000_000;

describe('the question', () => {
  it('is of the last week unless it says otherwise', () => {
    expect(listParameters(questionOf(''), NOW)).toEqual({ endTs: String(NOW), lookback: '604800000', limit: '100' });
  });

  it('is in the address', () => {
    const question = questionOf('?serviceName=+Shop&environment=prod&verdict=regressed&lookback=1h&endTs=5000000&limit=7');
    expect(question.verdict).toBe('regressed');
    expect(listParameters(question, NOW)).toEqual({ serviceName: 'shop', environment: 'prod', endTs: '5000000', lookback: '3600000', limit: '7' });
    expect(findingParameters(question, NOW)).toEqual({ environment: 'prod', endTs: '5000000', lookback: '3600000', limit: '200' });
  });

  it('may be of all times', () => {
    const question = questionOf('?lookback=all');
    expect(listParameters(question, NOW)).toEqual({ limit: '100' });
    expect(findingParameters(question, NOW)).toMatchObject({ lookback: String(NOW) });
  });

  it.each([['limit=0'], ['limit=x'], ['limit=-3'], ['verdict=nonsense']])('is not moved by nonsense: %s', (search) => {
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
    deployment('early', { verdict: 'regressed' }),
  ];
  it.each([
    [undefined, 'going bad fresh early'],
    ['regressed', 'bad early'],
    ['running', 'going early'],
    ['pending', 'fresh'],
    ['improved', ''],
  ] as const)('by %s', (filter, expected) => {
    expect(shownOf(all, filter, NOW).map(({ id }) => id).join(' ')).toBe(expected);
  });

  it('has of each deployment the worst finding, what it caused first', () => {
    const finding = (id: string, causedByDeployment: boolean, summary: string) => ({ deployment: { id }, causedByDeployment, summary }) as Regression;
    const worst = worstFindings([finding('x', false, 'load'), finding('x', true, 'first'), finding('x', true, 'second'), finding('y', false, 'only')]);
    expect([...worst].map(([id, { summary }]) => [id, summary])).toEqual([
      ['x', 'first'],
      ['y', 'only'],
    ]);
  });
});
