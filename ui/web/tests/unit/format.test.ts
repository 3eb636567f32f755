/** Numbers and times as they are written. */
import { describe, expect, it } from 'vitest';

import {
  formatAgo,
  formatCount,
  formatDuration,
  formatInstant,
  formatTime,
  fromLocalInput,
  parseDuration,
  toLocalInput,
} from '../../src/format';

const at = (...parts: [number, number, number, number, number, number, number]) => new Date(...parts);
const noon = at(2026, 10, 20, 12, 4, 31, 207);
const micros = noon.getTime() * 1000;

describe('durations', () => {
  it.each([
    [undefined, '–'],
    [0, '0ms'],
    [1, '1μs'],
    [999, '999μs'],
    [1000, '1ms'],
    [1001, '1.001ms'],
    [84_300, '84.300ms'],
    [999_999, '999.999ms'],
    [1_000_000, '1.000s'],
    [1_234_567, '1.235s'],
    [3_600_000_000, '3600.000s'],
  ])('%s is written %s', (duration, text) => {
    expect(formatDuration(duration)).toBe(text);
  });

  it.each([
    ['10s', 10_000_000],
    ['1.5 ms', 1500],
    ['10us', 10],
    ['10μs', 10],
    ['10µs', 10],
    ['10', 10],
    ['0', null],
    ['', null],
    ['-1', null],
    ['10m', null],
    ['fast', null],
    ['1e3', null],
    ['99999999999999999999', null],
  ])('%s is read as %s', (text, duration) => {
    expect(parseDuration(text)).toBe(duration);
  });
});

describe('times', () => {
  it('have a date where it is not today', () => {
    expect(formatTime(micros, noon)).toBe('12:04:31.207');
    expect(formatTime(micros, at(2026, 10, 21, 0, 0, 0, 0))).toBe('2026-11-20 12:04:31.207');
  });

  it('have microseconds where they matter', () => {
    expect(formatInstant(micros + 5)).toBe('2026-11-20 12:04:31.207005');
  });

  it.each([
    [0, 'just now'],
    [1, '1 s ago'],
    [59, '59 s ago'],
    [60, '1 min ago'],
    [7199, '1 h ago'],
    [172_800, '2 d ago'],
    [-5, 'in the future'],
  ])('%s seconds back is %s', (seconds, text) => {
    expect(formatAgo(micros - seconds * 1_000_000, noon)).toBe(text);
  });

  it('go through the field of a form', () => {
    const text = toLocalInput(noon.getTime());
    expect(text).toBe('2026-11-20T12:04:31');
    expect(fromLocalInput(text)).toBe(noon.getTime() - 207);
    expect(fromLocalInput('')).toBeNull();
  });
});

it('counts have a plural', () => {
  expect([0, 1, 12_345].map((count) => formatCount(count, 'span'))).toEqual(['0 spans', '1 span', '12,345 spans']);
});
