/** What stands at the ticks of an axis of time: hours and minutes, with the date where it changes. */
import type uPlot from 'uplot';

import { zonedDate } from '../format';

const DAY_S = 86_400;

const two = (value: number) => String(value).padStart(2, '0');

/** The texts of ticks, for uPlot. */
export function timeLabels(_: uPlot | null, seconds: number[], __ = 0, ___ = 0, between = 60): string[] {
  let before = '';
  return seconds.map((second, index) => {
    const date = zonedDate(second * 1000);
    const day = `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
    const newDay = index > 0 && day !== before;
    before = day;
    if (between >= DAY_S) return day;
    const clock = `${two(date.getHours())}:${two(date.getMinutes())}${between < 60 ? `:${two(date.getSeconds())}` : ''}`;
    return newDay ? `${clock}\n${day}` : clock;
  });
}
