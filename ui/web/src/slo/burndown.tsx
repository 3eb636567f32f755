/** What was left of a budget at moments of its window, with the deployments of its service. */
import { useEffect, useMemo } from 'preact/hooks';

import { getBudget } from '../api/objectives';
import type { JudgedDeployment, Objective } from '../api/schema';
import { ChartFrame } from '../chart/frame';
import { TimeChart, type TimeLine } from '../chart/time-chart';
import { useFew } from '../few';
import { formatClock } from '../format';
import { bandsOf } from '../rollouts';
import { useWindowText } from '../window';
import { budgetLeft, burndownMoments, formatLeft } from './budget';
import { text } from './text';

interface Properties {
  objective: Objective;
  endTs: number;
  deployments: readonly JudgedDeployment[];
}

export function Burndown({ objective, endTs, deployments }: Properties) {
  const { name, windowDays } = objective;
  const moments = useMemo(() => burndownMoments(endTs, windowDays), [endTs, windowDays]);
  const budgets = useFew(`${JSON.stringify(objective)} ${endTs}`, async (moment, signal) => (await getBudget(name, Number(moment), signal)).body);
  useEffect(() => {
    for (const moment of moments.toReversed()) budgets.want(String(moment));
  }, [moments, budgets.want]);
  const step = (moments[1] ?? endTs) - (moments[0] ?? endTs);
  // A value is drawn in the middle of its step, and these are of moments.
  const steps = useMemo(() => ({ starts: moments.map((moment) => moment - step / 2), step }), [moments, step]);
  const lines = useMemo<TimeLine[]>(() => {
    const values = moments.map((moment) => {
      const budget = budgets.known.get(String(moment))?.answer;
      return budget && budgetLeft(budget);
    });
    return [{ label: text.left, token: '--link', values }];
  }, [moments, budgets.known]);
  const bands = useMemo(() => bandsOf(deployments, endTs), [deployments, endTs]);
  const values = lines[0]?.values ?? [];
  const told = values.filter((value) => value != null);
  const window = useWindowText({ startTs: moments[0] ?? endTs, endTs });
  const [first, last] = [told[0], told.at(-1)];
  const done = budgets.known.size === moments.length;
  return (
    <ChartFrame
      title={text.burndown}
      summary={first === undefined || last === undefined ? (done ? text.burndownNone : text.loading) : text.burndownSummary(formatLeft(first), formatLeft(last))}
      note={`${text.burndownNote(window, moments.length)} ${done ? '' : text.burndownPartial(budgets.known.size, moments.length)}`}
      interactive
      table={{
        head: [text.at, text.left],
        rows: moments.map((moment, index) => [formatClock(moment, new Date(endTs)), values[index] == null ? text.tooFew : formatLeft(values[index])]),
      }}
    >
      <TimeChart label={text.burndown} steps={steps} lines={lines} bands={bands} format={formatLeft} group="burndown" least={1} />
    </ChartFrame>
  );
}
