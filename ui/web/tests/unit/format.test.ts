/** Numbers and times as they are written. */
import { describe, expect, it } from 'vitest';

import {
  formatAgo,
  formatChange,
  formatCount,
  formatDuration,
  formatExact,
  formatInstant,
  formatScore,
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
    [0, '0 µs'],
    [1, '1 µs'],
    [999, '999 µs'],
    [999.6, '1 ms'],
    [1000, '1 ms'],
    [1001, '1 ms'],
    [61_324, '61.3 ms'],
    [84_300, '84.3 ms'],
    [999_499, '999 ms'],
    [999_999, '1 s'],
    [1_234_567, '1.23 s'],
    [119_000_000, '119 s'],
    [150_000_000, '2.5 min'],
    [36_000_000_000, '10 h'],
    [-1500, '-1.5 ms'],
  ])('%s is written %s', (duration, text) => {
    expect(formatDuration(duration)).toBe(text);
  });

  it.each([
    [23_100, '+23.1 ms'],
    [-4200, '−4.2 ms'],
    [0.2, '±0 µs'],
  ])('a change of %s is written %s', (change, text) => {
    expect(formatChange(change)).toBe(text);
  });

  it('are written in full where that is asked for', () => {
    expect(formatExact(84_300.4)).toBe('84,300 µs');
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

describe('scores', () => {
  it.each([
    [100, '100'],
    [89.99, '89'],
    [90, '90'],
    [0, '0'],
  ])('%s is %s: what does not pass does not look as if it did', (score, expected) => {
    expect(formatScore(score)).toBe(expected);
  });
});
