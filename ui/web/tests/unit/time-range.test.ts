/** The time of a page: from addresses and into questions. */
import { describe, expect, it } from 'vitest';

import { apiWindow, shifted, timeRangeOf, timeRangeParameters } from '../../src/time-range';

const HOUR = 3_600_000;

describe('a time range', () => {
  it.each([
    ['', { lookback: HOUR, endTs: null }],
    ['?lookback=15m', { lookback: 900_000, endTs: null }],
    ['?lookback=900000&endTs=5000000', { lookback: 900_000, endTs: 5_000_000 }],
    ['?lookback=millis&millis=2000&endTs=9000', { lookback: 2000, endTs: 9000 }],
    ['?lookback=range&startTs=1000&endTs=9000', { lookback: 8000, endTs: 9000 }],
    ['?startTime=1000&endTime=9000', { lookback: 8000, endTs: 9000 }],
    ['?lookback=constructor&endTs=x', { lookback: HOUR, endTs: null }],
    ['?lookback=range&startTs=9000&endTs=1000', { lookback: HOUR, endTs: 1000 }],
  ])('of %s', (search, range) => {
    expect(timeRangeOf(search, HOUR)).toEqual(range);
  });

  it.each([{ lookback: 900_000, endTs: null }, { lookback: 1234, endTs: 99_999 }])('survives its address: %o', (range) => {
    const set = Object.entries(timeRangeParameters(range)).filter((entry): entry is [string, string] => entry[1] !== null);
    expect(timeRangeOf(`?${new URLSearchParams(set)}`, HOUR)).toEqual(range);
  });

  it('ends when the question is asked', () => {
    expect(apiWindow({ lookback: 10, endTs: null }, 500)).toEqual({ endTs: '500', lookback: '10' });
  });

  it('moves by its length, and not beyond now', () => {
    expect(shifted({ lookback: 10, endTs: null }, -1, 500)).toEqual({ lookback: 10, endTs: 490 });
    expect(shifted({ lookback: 10, endTs: 490 }, 1, 500)).toEqual({ lookback: 10, endTs: null });
  });
});
