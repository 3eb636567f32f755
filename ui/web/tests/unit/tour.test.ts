/** The tour of the demo's report: who sees it, and at which step. */
import { describe, expect, it } from 'vitest';

import { withParameters } from '../../src/location';
import { tourParameter, tourStep, withTour } from '../../src/report/tour-step';

const NEW = { toured: false };

describe('the tour', () => {
  it.each([
    ['', undefined],
    ['?show=share', undefined],
    ['?tour=demo', 1],
    ['?tour=1', 1],
    ['?tour=4', 4],
    ['?tour=5', 1],
    ['?tour=2.5', 1],
    ['?tour=-1', 1],
  ])('at "%s" is at step %s', (search, expected) => {
    expect(tourStep(search, NEW)).toBe(expected);
  });

  it('is over for who ended it', () => expect(tourStep('?tour=demo', { toured: true })).toBeUndefined());

  it('goes on in the address, beside what else is there, and away from it', () => {
    expect(withParameters('?tour=demo&show=share', tourParameter(2))).toBe('?tour=2&show=share');
    expect(withParameters('?tour=2&show=share', tourParameter(null))).toBe('?show=share');
  });

  it('is taken along from a list that the demo led to, and from no other', () => {
    expect(withTour('deployments/1', '?tour=demo&sort=slo')).toBe('deployments/1?tour=demo');
    expect(withTour('deployments/1', '?sort=slo')).toBe('deployments/1');
  });
});
