/** Scales of charts. */
import { describe, expect, it } from 'vitest';

import { linearScale, logScale, multiplesOf, niceDomain, stepOf } from '../../src/chart/scale';

describe('scales', () => {
  it('place values in proportion', () => {
    const scale = linearScale([0, 50], [100, 0]);
    expect([0, 25, 50].map(scale)).toEqual([100, 50, 0]);
    expect(linearScale([3, 3], [1, 99])(3)).toBe(1);
  });

  it('are labelled at round values', () => {
    expect(linearScale([0, 1], [0, 100]).ticks(4)).toEqual([0, 0.5, 1]);
    expect(linearScale([-12, 31], [0, 100]).ticks(4)).toEqual([0, 20]);
    expect(linearScale([0, 0.3], [0, 100]).ticks(4)).toEqual([0, 0.1, 0.2, 0.3]);
    expect(linearScale([0, 0], [0, 100]).ticks(4)).toEqual([0]);
    expect(logScale([800, 30_000], [0, 100]).ticks(4)).toEqual([1000, 2000, 5000, 10_000, 20_000]);
  });

  it('begin and end at round values where asked to', () => {
    expect(niceDomain([-12, 31], 4)).toEqual([-20, 40]);
    expect(niceDomain([0, 0], 4)).toEqual([0, 0]);
  });

  it('give equal factors equal room', () => {
    const scale = logScale([10, 1000], [0, 100]);
    expect([10, 100, 1000].map((value) => Math.round(scale(value)))).toEqual([0, 50, 100]);
  });

  it('step by 1, 2 or 5', () => {
    expect([stepOf(100, 4), stepOf(84_300, 8), stepOf(0.3, 3), stepOf(9, 10)]).toEqual([50, 20_000, 0.1, 1]);
    expect(multiplesOf(0.1, 0, 0.3)).toEqual([0, 0.1, 0.2, 0.3]);
  });
});
