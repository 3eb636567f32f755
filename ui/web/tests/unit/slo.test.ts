/** Objectives: what can be said of a budget, and what the form makes of what is typed. */
import { describe, expect, it } from 'vitest';

import type { Budget, OperationRow } from '../../src/api/schema';
import { budgetLeft, burnIn, burndownMoments, exhaustion, formatLeft, formatObjective, HOUR_MS, objectiveText, requestsNeeded } from '../../src/slo/budget';
import { bodyOf, draftOf, errorsOf, nameFor, newDraft, slowestP99, suggestedThreshold } from '../../src/slo/form';

const DAY = 86_400_000;

const budget = (more: Partial<Budget>): Budget => ({
  name: 'a',
  objective: 0.99,
  windowDays: 10,
  startTs: 0,
  endTs: 0,
  side: 'server',
  countedBy: 'duration',
  valid: 10_000,
  good: 9950,
  bad: 50,
  budgetRequests: 100,
  budgetRemaining: 0.5,
  burnRates: [],
  alerts: [],
  ...more,
});

const burning = (burnRate: number | undefined, valid = 1000) => [{ window: 6 * HOUR_MS, valid, bad: 0, ...(burnRate !== undefined && { burnRate }) }];

describe('what is left of a budget', () => {
  it.each([
    [{}, 0.5],
    [{ valid: 0, bad: 0, budgetRemaining: 1 }, undefined],
    [{ valid: 29, bad: 29, budgetRemaining: -99 }, undefined],
    [{ valid: 99, bad: 0, budgetRemaining: 1 }, undefined],
    [{ valid: 100, bad: 0, budgetRemaining: 1 }, 1],
    [{ valid: 99, bad: 1, budgetRemaining: -0.01 }, -0.01],
    [{ objective: 0.9995, valid: 1999, bad: 0, budgetRemaining: 1 }, undefined],
  ])('with %j is %s', (more, expected) => expect(budgetLeft(budget(more))).toBe(expected));

  it('is nothing where the server says nothing', () => {
    const { budgetRemaining: _, ...rest } = budget({});
    expect(budgetLeft(rest)).toBeUndefined();
  });

  it('needs as many requests as one may be bad of', () => {
    expect(requestsNeeded(0.9)).toBe(30);
    expect(requestsNeeded(0.99)).toBe(100);
    expect(requestsNeeded(0.9995)).toBe(2000);
  });

  it('is written with a sign once it is overspent', () => {
    expect(formatLeft(0.25)).toBe('25 %');
    expect(formatLeft(-0.4)).toBe('−40 %');
  });
});

describe('a projection', () => {
  it.each([
    [{ burnRates: burning(5) }, DAY],
    [{ burnRates: burning(0.1) }, 'never'],
    [{ burnRates: burning(0) }, 'never'],
    [{ burnRates: burning(5), budgetRemaining: 0 }, 'spent'],
    [{ burnRates: burning(5, 29) }, undefined],
    [{ burnRates: burning(undefined) }, undefined],
    [{ burnRates: burning(5), valid: 3 }, undefined],
  ])('of %j is %s', (more, expected) => expect(exhaustion(budget(more))).toBe(expected));

  it('goes by no window that is not there', () => expect(burnIn(budget({}), HOUR_MS)).toBeUndefined());
});

it('a burndown ends now and begins a window before', () => {
  const moments = burndownMoments(100 * DAY, 28);
  expect(moments).toHaveLength(29);
  expect(moments.at(-1)).toBe(100 * DAY);
  expect(moments[0]).toBe(72 * DAY);
});

it('an objective is written with all its digits', () => {
  expect(formatObjective(0.9995)).toBe('99.95 %');
  expect(formatObjective(0.99)).toBe('99 %');
  expect(objectiveText({ name: 'a', serviceName: 's', indicator: 'latency', thresholdMs: 250, objective: 0.99, windowDays: 1 })).toBe('99 % within 250 ms');
});

describe('the form', () => {
  it('begins with what an address names', () => {
    expect(newDraft('?create=true&serviceName=inventory&spanName=get+%2Fstock')).toMatchObject({ name: 'inventory-get-stock', serviceName: 'inventory', spanName: 'get /stock', indicator: 'latency' });
    expect(nameFor('', '')).toBe('');
    expect(nameFor('n'.repeat(10_000), '')).toHaveLength(60);
  });

  it('makes an objective and shows it again', () => {
    const draft = { ...newDraft('?serviceName=s'), thresholdMs: '250', objective: '99.95' };
    expect(errorsOf(draft)).toEqual({});
    expect(bodyOf(draft)).toEqual({ serviceName: 's', indicator: 'latency', thresholdMs: 250, objective: 0.9995, windowDays: 28 });
    expect(draftOf({ name: 's', ...bodyOf(draft) })).toEqual(draft);
    expect(bodyOf({ ...draft, indicator: 'availability' })).not.toHaveProperty('thresholdMs');
  });

  it.each([
    ['name', ' '],
    ['serviceName', ''],
    ['thresholdMs', ''],
    ['thresholdMs', '1.5'],
    ['thresholdMs', '0'],
    ['objective', '100'],
    ['objective', '0'],
    ['objective', ''],
    ['objective', 'x'],
    ['windowDays', '367'],
    ['windowDays', '0'],
  ])('takes no %s "%s"', (field, value) => {
    const draft = { ...newDraft('?serviceName=s'), thresholdMs: '250', [field]: value };
    expect(Object.keys(errorsOf(draft))).toEqual([field]);
  });

  it('needs no threshold for availability', () => {
    expect(errorsOf({ ...newDraft('?serviceName=s'), indicator: 'availability' })).toEqual({});
  });

  it.each([
    [71_400, 75],
    [75_000, 75],
    [94_000, 100],
    [101_000, 150],
    [1_230_000, 1500],
    [999_000, 1000],
    [300, 1],
    [1400, 2],
    [2100, 3],
  ])('suggests for a p99 of %d µs %d ms, which it meets', (p99, expected) => {
    expect(suggestedThreshold(p99)).toBe(expected);
    expect(suggestedThreshold(p99) * 1000).toBeGreaterThanOrEqual(p99);
  });

  it('takes the p99 of the operation, or of the slowest that answers', () => {
    const row = (spanName: string, spanKind: string, p99: number): OperationRow => ({ serviceName: 's', spanName, spanKind, count: 1, errors: 0, rate: 1, beforeCount: 0, change: {}, p99 });
    const rows = [row('a', 'SERVER', 5), row('b', 'SERVER', 9), row('c', 'CLIENT', 99)];
    expect(slowestP99(rows, 'a')).toBe(5);
    expect(slowestP99(rows, '')).toBe(9);
    expect(slowestP99(rows, 'c')).toBe(99);
    expect(slowestP99(rows, 'nothing')).toBeUndefined();
  });
});
