/** Rate, errors and durations of requests over time, of all versions together or each by itself. */
import { useMemo } from 'preact/hooks';

import type { Answer } from '../api';
import type { LatencyChart } from '../api/schema';
import { getLatency, type LatencyQuestion } from '../api/services';
import type { Band } from '../chart/bands';
import { ChartFrame } from '../chart/frame';
import { cellAt, heatOf } from '../chart/heat';
import { Heatmap } from '../chart/heatmap';
import { TimeChart, type TimeLine, type TimeSteps } from '../chart/time-chart';
import { formatClock, formatDuration, formatRate, formatShare } from '../format';
import { changeParameters, navigate } from '../location';
import { useRequest } from '../request';
import { Asked } from '../shell/asked';
import { Link } from '../shell/link';
import { type AskedWindow, useWindowText } from '../window';
import { durationLines, errorLines, merge, rangeOf, rateLines } from './lines';
import { searchPath } from './search-path';
import { text } from './text';

interface Properties {
  /** Whose requests. */
  question: LatencyQuestion;
  asked: AskedWindow;
  search: string;
  bands: readonly Band[];
}

/** All charts of a page show the same moment. */
const GROUP = 'requests';

export function RequestCharts({ question, asked, search, bands }: Properties) {
  const split = new URLSearchParams(search).get('groupBy') === 'version';
  const full: LatencyQuestion = split ? { ...question, groupBy: 'version' } : { ...question, histogram: true };
  const latency = useRequest(`${JSON.stringify(full)} ${asked.key}`, (signal) => getLatency(full, asked.api, signal));
  const choose = (event: Event) => changeParameters({ groupBy: (event.currentTarget as HTMLInputElement).checked ? 'version' : null });
  return (
    <section class="services-section" aria-label={text.requests}>
      <div class="services-heading">
        <h2>{text.requests}</h2>
        <label class="services-check">
          <input type="checkbox" checked={split} onChange={choose} /> {text.splitByVersion}
        </label>
      </div>
      <Asked request={latency} missing={missingOf}>
        {({ body }) => <Charts latency={body} question={question} bands={bands} split={split} />}
      </Asked>
    </section>
  );
}

function missingOf({ body, missing }: Answer<LatencyChart>): string | null {
  return missing ?? (body.leftOut ? text.versionsLeftOut(body.leftOut.versions) : null);
}

interface ChartsProperties {
  latency: LatencyChart;
  question: LatencyQuestion;
  bands: readonly Band[];
  split: boolean;
}

function Charts({ latency, question, bands, split }: ChartsProperties) {
  const steps = useMemo<TimeSteps>(() => ({ starts: latency.series[0]?.points.map(({ startTs }) => startTs) ?? [], step: latency.step }), [latency]);
  const lines = useMemo(() => ({ rate: rateLines(latency, split), errors: errorLines(latency, split), duration: durationLines(latency, split) }), [latency, split]);
  const together = useMemo(() => merge(latency), [latency]);
  const heat = useMemo(() => heatOf(together.map(({ histogram }) => histogram ?? undefined)), [together]);
  const count = together.reduce((sum, point) => sum + point.count, 0);
  const errors = together.reduce((sum, point) => sum + point.errors, 0);
  const window = useWindowText({ startTs: latency.startTs, endTs: latency.endTs });
  const note = text.note(window, count, formatDuration(latency.step * 1000), text.sides[latency.side]);
  const tracesAt = (index: number, low?: number, high?: number) => {
    const startTs = steps.starts[index] ?? 0;
    const durations = low === undefined || high === undefined ? {} : { minDuration: low, maxDuration: high };
    const { serviceName, spanName } = question;
    return searchPath({ serviceName, ...(spanName !== undefined && { spanName }), ...durations, sort: 'slowest' }, { startTs, endTs: startTs + steps.step });
  };
  const pick = (at: number, duration: number) => {
    const index = Math.max(0, Math.min(steps.starts.length - 1, Math.floor((at - (steps.starts[0] ?? 0)) / steps.step)));
    const cell = heat && cellAt(heat, index, duration);
    navigate(cell ? tracesAt(index, cell.low, cell.high) : tracesAt(index));
  };
  const rows = (of: TimeLine[], format: (value: number) => string) =>
    steps.starts.map((startTs, index) => [formatClock(startTs, new Date()), ...of.map(({ values }) => (values[index] == null ? '–' : format(values[index])))]);
  const table = (of: TimeLine[], format: (value: number) => string) => ({ head: [text.when, ...of.map(({ label }) => label)], rows: rows(of, format) });
  const durations = table(lines.duration, formatDuration);
  const shared = { steps, bands, group: GROUP };
  const medians = rangeOf(lines.duration.filter(({ dash }) => !dash));
  const slowest = rangeOf(lines.duration);
  const durationSummary = heat
    ? text.durationHeat(formatDuration(heat.low), formatDuration(heat.high))
    : medians && slowest
      ? text.durationLines(formatDuration(medians.high), formatDuration(slowest.high))
      : text.nothingTook;
  const rates = rangeOf(lines.rate);
  return (
    <>
      <ChartFrame
        title={text.duration}
        summary={`${durationSummary} ${text.pickCell}`}
        note={bands.length > 0 ? `${note} ${text.bandsNote}` : note}
        interactive
        table={{
          head: [...durations.head, text.traces],
          rows: durations.rows.map((cells, index) => [...cells, <Link key="traces" path={tracesAt(index)}>{text.searchStep}</Link>]),
        }}
      >
        <Heatmap label={text.duration} lines={lines.duration} heat={heat} format={formatDuration} onPick={pick} {...shared} />
      </ChartFrame>
      <div class="services-charts">
        <ChartFrame
          title={text.rate}
          summary={rates ? text.rateSummary(formatRate(rates.low), formatRate(rates.high)) : text.noRequests}
          note={text.shortNote(window, count)}
          interactive
          table={table(lines.rate, formatRate)}
        >
          <TimeChart label={text.rate} lines={lines.rate} format={formatRate} least={0.01} {...shared} />
        </ChartFrame>
        <ChartFrame title={text.errors} summary={text.errorSummary(errors, count)} note={text.shortNote(window, count)} interactive table={table(lines.errors, formatShare)}>
          <TimeChart label={text.errors} lines={lines.errors} format={formatShare} least={0.01} {...shared} />
        </ChartFrame>
      </div>
    </>
  );
}
