/** The stages of a rollout, and what requests did in each. */
import { describe, expect, it } from 'vitest';

import type { Deployment, LatencyChart, Point } from '../../src/api/schema';
import { doses, type Evidence, evidenceOf, shareOf, type Stages, stagesOf, wavesOf } from '../../src/report/stages';

const MINUTE = 60_000;
const START = 1_700_000_040_000;
const at = (minutes: number) => START + minutes * MINUTE;

function deployment(more: Partial<Deployment> = {}): Deployment {
  return { id: '1', serviceName: 'shop', version: '2', previousVersion: '1', startTs: START, inferred: false, rollback: false, ...more };
}

const instance = (minutes: number) => ({ ip: '10.0.0.1', switchTs: at(minutes) });
const seen = (endTs: number) => ({ startTs: START, endTs, traces: 0, spans: 0 });
const kinds = ({ stages }: Stages) => stages.map(({ kind, switched, startTs, endTs }) => [kind, switched, (startTs - START) / MINUTE, (endTs - START) / MINUTE]);

/** One point a minute from -15 to `minutes`, `value` of each minute, `count` requests. */
function chart(minutes: number, series: [version: string | undefined, value: (minute: number) => Partial<Point> | undefined][]): LatencyChart {
  const points = (value: (minute: number) => Partial<Point> | undefined) =>
    Array.from({ length: minutes + 15 }, (_, index): Point => ({ startTs: at(index - 15), count: 0, errors: 0, rate: 0, ...value(index - 15) }));
  return { serviceName: 'shop', startTs: at(-15), endTs: at(minutes), step: MINUTE, side: 'server', series: series.map(([version, value]) => ({ ...(version && { version }), points: points(value) })) } as LatencyChart;
}

describe('the stages', () => {
  it('begin a wave where a minute passes without a switch', () => {
    const instances = [10, 0, 0.9, 1.8, 5, 5.9].map(instance);
    expect(wavesOf(deployment({ instances })).map(({ startTs, endTs, switched }) => [(startTs - START) / MINUTE, (endTs - START) / MINUTE, switched])).toEqual([[0, 1.8, 3], [5, 5.9, 5], [10, 10, 6]]);
    expect(wavesOf(deployment({ instances: [0, 1].map(instance) })).map(({ switched }) => switched)).toEqual([1, 2]);
    expect(wavesOf(deployment())).toEqual([]);
  });

  it('are before, each wave, and after', () => {
    const rollout = deployment({ instances: [0, 5, 10, 15].map(instance), endTs: at(16) });
    expect(kinds(stagesOf(rollout, seen(at(30)), at(100)))).toEqual([
      ['before', undefined, -15, 0],
      ['wave', 1, 0, 5],
      ['wave', 2, 5, 10],
      ['wave', 3, 10, 15],
      ['after', 4, 16, 31],
    ]);
  });

  it('begin when the last instance of a wave has switched, and leave out the time in which some have', () => {
    const rollout = deployment({ instances: [-1, 0, 0.5, 5, 5.9, 10].map(instance), endTs: at(10) });
    const stages = stagesOf(rollout, seen(at(10)), at(100));
    expect(kinds(stages)).toEqual([
      ['before', undefined, -15, -1],
      ['wave', 1, -1, 0],
      ['wave', 3, 0.5, 5],
      ['wave', 5, 5.9, 10],
      ['after', 6, 10, 25],
    ]);
    expect(stages.stages.map(({ all }) => all)).toEqual([undefined, 6, 6, 6, 6]);
    const late = stagesOf(deployment({ instances: [instance(3)], endTs: at(3) }), seen(at(3)), at(100));
    expect(kinds(late)[0]).toEqual(['before', undefined, -15, 0]);
  });

  it('end now while it goes on, of instances that may become more', () => {
    const stages = stagesOf(deployment({ instances: [0, 5].map(instance) }), seen(at(7)), at(8));
    expect(kinds(stages).slice(1)).toEqual([['wave', 1, 0, 5], ['wave', 2, 5, 8]]);
    expect(stages.stages.map(({ all }) => all)).toEqual([undefined, undefined, undefined]);
  });

  it('have the time after a rollback', () => {
    const rolledBack = stagesOf(deployment({ instances: [instance(0)], endTs: at(1), rolledBackTs: at(10) }), seen(at(10)), at(500));
    expect(kinds(rolledBack).slice(1)).toEqual([['after', 1, 1, 10], ['rolledBack', undefined, 10, 25]]);
  });

  it('do without instances and without an end', () => {
    expect(kinds(stagesOf(deployment({ endTs: at(4) }), seen(at(9)), at(100))).slice(1)).toEqual([['during', undefined, 0, 4], ['after', undefined, 4, 19]]);
    expect(kinds(stagesOf(deployment(), seen(at(9)), at(100))).slice(1)).toEqual([['during', undefined, 0, 15]]);
    expect(kinds(stagesOf(deployment({ endTs: at(4) }), seen(at(4)), at(4))).slice(1)).toEqual([['during', undefined, 0, 4]]);
  });

  it('are asked for in a bounded number of steps, however long it takes', () => {
    const { step, startTs, endTs } = stagesOf(deployment({ endTs: at(40_123) }), seen(at(40_123)), at(1e6));
    expect(step % MINUTE).toBe(0);
    expect((endTs - startTs) / step).toBeLessThan(250);
    expect((START - startTs) / step).toBeGreaterThanOrEqual(10);
  });
});

describe('the evidence', () => {
  const rollout = deployment({ instances: [0, 5, 10, 15].map(instance), endTs: at(15) });
  const switched = (minute: number) => (minute < 0 ? 0 : Math.min(4, Math.floor(minute / 5) + 1));
  /** 10 ms, and 8 ms more for what the new version answers; single minutes are off by 100 µs. */
  const whole = (cost: (minute: number) => number, minutes = 30) => chart(minutes, [[undefined, (minute) => ({ count: 100, mean: 10_000 + (minute % 2 === 0 ? 100 : -100) + cost(minute) })]]);
  const parts = (minutes = 30, share = switched) =>
    chart(minutes, [
      ['1', (minute) => (share(minute) < 4 ? { count: 100 - 25 * share(minute), mean: 5000 } : {})],
      ['2', (minute) => (share(minute) > 0 ? { count: 25 * share(minute), mean: 13_000 } : {})],
    ]);
  const stages = stagesOf(rollout, seen(at(30)), at(100));
  const of = (cost: (minute: number) => number): Evidence => evidenceOf(stages, whole(cost), parts(), ['1', '2'], false);

  it('has each stage against before, and both versions side by side', () => {
    const { stages: figures } = of((minute) => 2000 * switched(minute));
    expect(figures.map(({ requests }) => requests)).toEqual([1500, 500, 500, 500, 1500]);
    expect(figures.map(({ change = NaN }) => Math.round(change / 100) / 10)).toEqual([0, 2, 4, 6, 8]);
    expect(figures.map(({ share }) => share)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(figures.map(({ old: a, new: b }) => [a, b])).toEqual([[5000, undefined], [5000, 13_000], [5000, 13_000], [5000, 13_000], [undefined, 13_000]]);
  });

  it('says how much the time varies by itself', () => {
    const { noise } = of(() => 0);
    expect(noise?.low).toBeCloseTo(-93, 0);
    expect(noise?.high).toBeCloseTo(107, 0);
    const short = { ...stages, stages: [{ ...stages.stages[0]!, startTs: at(-2) }] };
    expect(evidenceOf(short, whole(() => 0), parts(), ['1', '2'], false).noise).toBeUndefined();
    const quiet = chart(30, [[undefined, (minute) => (minute % 3 === 0 ? {} : { count: 100, mean: 10_000 + (minute % 3 === 1 || minute % 3 === -2 ? 100 : -100) })]]);
    expect(evidenceOf(stages, quiet, parts(), ['1', '2'], false)).toMatchObject({ noise: { low: -100, high: 100 }, stages: [{ requests: 1000, mean: 10_000 }, {}, {}, {}, {}] });
  });

  it('says whether the effect grows with the share of the new version', () => {
    expect(of((minute) => 2000 * switched(minute)).dose).toBe('grows');
    expect(of((minute) => -1000 * switched(minute)).dose).toBe('grows');
    expect(of((minute) => [0, 4000, 3950, 6000, 8000][switched(minute)] ?? 0).dose).toBe('grows');
    expect(of((minute) => [0, 8000, 100, 0, 8000][switched(minute)] ?? 0).dose).toBe('not');
    expect(of(() => 0).dose).toBeUndefined();
    const atOnce = stagesOf(deployment({ instances: [instance(0)], endTs: at(0) }), seen(at(30)), at(100));
    expect(evidenceOf(atOnce, whole((minute) => (minute < 0 ? 0 : 8000)), parts(), ['1', '2'], false).dose).toBeUndefined();
  });

  it('goes by the share of requests where no instances are known', () => {
    const canary = stagesOf(deployment({ endTs: at(15) }), seen(at(30)), at(100));
    const { stages: figures, dose } = evidenceOf(canary, whole((minute) => 2000 * switched(minute)), parts(), ['1', '2'], false);
    expect(figures.map(({ kind, upTo, requests }) => [kind, upTo, requests])).toEqual([['before', undefined, 1500], ['share', 0.25, 500], ['share', 0.5, 500], ['share', 0.75, 500], ['after', undefined, 1500]]);
    expect(doses(figures).map(({ share }) => share)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(dose).toBe('grows');
    const untold = evidenceOf(canary, whole(() => 0), chart(30, []), ['1', '2'], false).stages;
    expect(untold.map(({ kind, ...stage }) => [kind, shareOf({ kind, ...stage })])).toEqual([['before', 0], ['during', undefined], ['after', undefined]]);
  });

  it('says whether it went away with the version', () => {
    const back = stagesOf({ ...rollout, rolledBackTs: at(25) }, seen(at(25)), at(100));
    const cost = (after: number) => (minute: number) => (minute >= 25 ? after : 2000 * switched(minute));
    const recovered = (after: number) => evidenceOf(back, whole(cost(after), 40), parts(40), ['1', '2'], false);
    expect([recovered(0), recovered(500), recovered(4000)].map((evidence) => evidence.recovered)).toEqual([true, true, false]);
    expect(evidenceOf(back, whole(() => 0, 40), parts(40), ['1', '2'], false).recovered).toBeUndefined();
    expect(of((minute) => 2000 * switched(minute)).recovered).toBeUndefined();
    expect(recovered(0).stages.at(-1)?.kind).toBe('rolledBack');
    expect(doses(recovered(0).stages).map(({ share }) => share)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    const slight = (minute: number) => (minute >= 25 ? 80 : 100 * switched(minute));
    expect(evidenceOf(back, whole(slight, 40), parts(40), ['1', '2'], false).recovered).toBe(true);
  });

  it('goes by instances where no span tells its version: both are known where only one of them runs', () => {
    const untold = chart(30, [[undefined, (minute) => ({ count: 100, mean: 5000 + 2000 * switched(minute) })]]);
    const { stages: figures, dose } = evidenceOf(stages, whole((minute) => 2000 * switched(minute)), untold, ['1', '2'], false);
    expect(figures.map(({ old: a, new: b, share }) => [a, b, share])).toEqual([[5000, undefined, undefined], [undefined, undefined, undefined], [undefined, undefined, undefined], [undefined, undefined, undefined], [undefined, 13_000, undefined]]);
    expect(figures.map(shareOf)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(dose).toBe('grows');
    const back = stagesOf({ ...rollout, rolledBackTs: at(25) }, seen(at(25)), at(100));
    expect(evidenceOf(back, whole(() => 0, 40), chart(40, [[undefined, () => ({ count: 9, mean: 5000 })]]), ['1', '2'], false).stages.at(-1)).toMatchObject({ kind: 'rolledBack', old: 5000 });
    const going = stagesOf(deployment({ instances: [0, 5].map(instance) }), seen(at(20)), at(30));
    expect(evidenceOf(going, whole(() => 0), untold, ['1', '2'], false).stages.at(-1)).not.toHaveProperty('new');
  });

  it('takes what bears no version for no version', () => {
    const untagged = chart(30, [[undefined, () => ({ count: 50, mean: 7000 })], ['2', () => ({ count: 50, mean: 13_000 })]]);
    const { stages: figures } = evidenceOf(stages, whole(() => 0), untagged, [undefined, '2'], false);
    expect(figures.map(({ old: a, new: b, share }) => [a, b, share])).toEqual(Array(5).fill([undefined, 13_000, 1]));
  });

  it('has shares that failed where errors are what changed', () => {
    const failing = chart(30, [[undefined, (minute) => ({ count: 100, errors: switched(minute), errorRate: switched(minute) / 100 })]]);
    const { stages: figures } = evidenceOf(stages, failing, chart(30, []), [undefined, '2'], true);
    expect(figures.map(({ change = NaN }) => Math.round(change * 1000))).toEqual([0, 10, 20, 30, 40]);
  });

  it('has nothing of a stage without a whole step, or without requests', () => {
    const quick = stagesOf(deployment({ instances: [0, 1.1].map(instance), endTs: at(1.1) }), seen(at(30)), at(100));
    expect(evidenceOf(quick, whole(() => 0), chart(30, []), ['1', '2'], false).stages.map(({ requests }) => requests)).toEqual([1500, 100, 2800]);
    const none = evidenceOf(stages, chart(30, []), chart(30, []), ['1', '2'], false);
    expect(none.stages.every(({ mean, change }) => mean === undefined && change === undefined)).toBe(true);
    expect([none.noise, none.dose, none.recovered]).toEqual([undefined, undefined, undefined]);
  });
});
