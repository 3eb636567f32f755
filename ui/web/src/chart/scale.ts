/** From values to places, and round values to label: all that charts drawn by hand need of scales. */

/** The nearest step of 1, 2 or 5 times a power of ten that makes at most `count` steps of a length. */
export function stepOf(length: number, count: number): number {
  const least = length / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= least * 0.999) ?? 10;
  return factor * power;
}

/** Multiples of a step between two values, both included, at most a thousand; without the noise of adding fractions. */
export function multiplesOf(step: number, low: number, high: number): number[] {
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.min(first + 999, Math.floor(high / step + 1e-9));
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

export interface Scale {
  (value: number): number;
  /** Round values, about so many. */
  ticks: (count: number) => number[];
}

/** Even steps are equally wide. A domain without length is at the range's beginning. */
export function linearScale(domain: [number, number], range: [number, number]): Scale {
  const place = proportional(domain, range);
  return Object.assign((value: number) => place(value), { ticks: (count: number) => linearTicks(domain, count) });
}

function linearTicks([low, high]: [number, number], count: number): number[] {
  return high > low ? multiplesOf(stepOf(high - low, count), low, high) : [low];
}

/** The same, from one round value to another. */
export function niceDomain([low, high]: [number, number], count: number): [number, number] {
  if (high <= low) return [low, high];
  const step = stepOf(high - low, count);
  return [Math.floor(low / step) * step, Math.ceil(high / step) * step];
}

/** Equal factors are equally wide; labels are 1, 2 and 5 times powers of ten. The domain is above zero. */
export function logScale(domain: [number, number], range: [number, number]): Scale {
  const place = proportional([Math.log(domain[0]), Math.log(domain[1])], range);
  return Object.assign((value: number) => place(Math.log(value)), { ticks: () => logTicks(domain) });
}

function logTicks([low, high]: [number, number]): number[] {
  const first = Math.floor(Math.log10(low));
  const powers = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, index) => 10 ** (first + index));
  return powers.flatMap((power) => [power, 2 * power, 5 * power]).filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
}

function proportional([low, high]: [number, number], [from, to]: [number, number]): (value: number) => number {
  return (value) => (high === low ? from : from + ((value - low) / (high - low)) * (to - from));
}
