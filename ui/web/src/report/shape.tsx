/** What the durations of an operation look like, before and after: distribution, histogram, percentiles. */
import type { ComponentChildren } from 'preact';

import type { OperationComparison, Report } from '../api/schema';
import { ChartFrame } from '../chart/frame';
import { linearScale, logScale } from '../chart/scale';
import { formatChange, formatDuration, formatShare } from '../format';
import { TableBox } from '../shell/table-box';
import { Chooser } from './chooser';
import { countOf, ecdfOf, logBinsOf, logExtentOf, quantileOf, type Step } from './distribution';
import { formatWhole, operationKey } from './names';
import { Panel } from './panel';
import { sidesOf } from './sentence';
import { text } from './text';

const BINS = 48;

/** Shares of which the table has the durations. */
const TABLE_SHARES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999];

const QUANTILES = ['p50', 'p90', 'p95', 'p99', 'mean'] as const;

export function Shape({ report, search }: { report: Report; search: string }) {
  const choices = report.operations.filter(({ baseline, candidate }) => countOf(baseline.histogram) > 0 && countOf(candidate.histogram) > 0);
  const wanted = new URLSearchParams(search).get('operation');
  const finding = report.findings[0];
  const byDefault = finding && (sidesOf(report, finding.origin) ?? sidesOf(report, finding.entry));
  const operation =
    choices.find((choice) => operationKey(choice) === wanted) ?? choices.find((choice) => choice === byDefault) ?? choices[0];
  return (
    <Panel name="shape">
      {operation ? (
        <>
          <Chooser label={text.operation} parameter="operation" value={operationKey(operation)} choices={choices} />
          <Legend report={report} />
          <div class="report-shapes">
            <Ecdf operation={operation} />
            <Histogram operation={operation} />
          </div>
          <Quantiles operation={operation} />
        </>
      ) : (
        <p class="muted">{text.shape.nothing}</p>
      )}
    </Panel>
  );
}

function Legend({ report: { baseline, candidate } }: { report: Report }) {
  return (
    <p class="report-legend">
      <span class="report-legend-before">{text.shape.before(baseline.version ?? undefined)}</span>
      <span class="report-legend-after">{text.shape.after(candidate.version ?? undefined)}</span>
    </p>
  );
}

/** The plot's ground: a logarithmic scale of durations below, shares on the left. */
function Ground({ extent, top, children }: { extent: [number, number]; top: number; children: ComponentChildren }) {
  const x = logScale(extent, [0, 100]);
  const y = linearScale([0, top], [100, 0]);
  const powers = x.ticks(4);
  const ticks = powers.length > 1 ? powers : [extent[0], Math.sqrt(extent[0] * extent[1]), extent[1]];
  const shown = ticks.length > 6 ? ticks.filter((tick) => /^[1]0*$/.test(String(Math.round(tick)))) : ticks;
  return (
    <div class="report-plot" aria-hidden="true">
      {y.ticks(4).map((tick) => (
        <span key={tick} class="report-plot-y" style={{ top: `${y(tick)}%` }}>
          {formatShare(tick)}
        </span>
      ))}
      <svg viewBox="0 0 100 100" preserveAspectRatio="none">
        {y.ticks(4).map((tick) => (
          <line key={`y${tick}`} class="grid" x1="0" x2="100" y1={y(tick)} y2={y(tick)} />
        ))}
        {shown.map((tick) => (
          <line key={`x${tick}`} class="grid" y1="0" y2="100" x1={x(tick)} x2={x(tick)} />
        ))}
        {children}
      </svg>
      {shown.map((tick) => (
        <span key={tick} class="report-plot-x" style={{ left: `${x(tick)}%` }}>
          {formatDuration(tick)}
        </span>
      ))}
    </div>
  );
}

function Ecdf({ operation: { baseline, candidate } }: { operation: OperationComparison }) {
  const extent = logExtentOf([baseline.histogram, candidate.histogram]);
  const [before, after] = [ecdfOf(baseline.histogram), ecdfOf(candidate.histogram)];
  const x = logScale(extent, [0, 100]);
  const path = (steps: Step[]) => steps.map(({ bound, share }) => `H${x(Math.max(bound, extent[0]))}V${100 - 100 * share}`).join('');
  const whole = (steps: Step[]) => `M0,100${path([...steps, { bound: extent[1], share: 1 }])}`;
  const at = (steps: Step[], share: number) => formatDuration(quantileOf(steps, share));
  return (
    <ChartFrame
      title={text.shape.ecdf}
      summary={text.shape.ecdfSummary(formatShare(0.9), at(before, 0.9), at(after, 0.9))}
      note={text.shape.note(formatWhole(baseline.count), formatWhole(candidate.count))}
      table={{ head: text.shape.head, rows: TABLE_SHARES.map((share) => [formatShareExactly(share), at(before, share), at(after, share)]) }}
    >
      <Ground extent={extent} top={1}>
        <path class="report-line-before" d={whole(before)} />
        <path class="report-line-after" d={whole(after)} />
      </Ground>
    </ChartFrame>
  );
}

/** `99.9 %`, which two digits would make 100. */
function formatShareExactly(share: number): string {
  return `${Number((share * 100).toFixed(1))} %`;
}

function Histogram({ operation: { baseline, candidate } }: { operation: OperationComparison }) {
  const { edges, baseline: before, candidate: after } = logBinsOf(baseline.histogram, candidate.histogram, BINS);
  const extent: [number, number] = [edges[0] ?? 1, edges.at(-1) ?? 10];
  const top = Math.max(...before, ...after);
  const width = 100 / BINS;
  const steps = (shares: number[]) =>
    `M0,100${shares.map((share, index) => `L${index * width},${100 - (100 * share) / top}H${(index + 1) * width}`).join('')}L100,100Z`;
  const rows = before.flatMap((share, index) => {
    const other = after[index] ?? 0;
    return share + other === 0 ? [] : [[formatDuration(edges[index + 1]), formatShare(share), formatShare(other)]];
  });
  return (
    <ChartFrame
      title={text.shape.histogram}
      summary={text.shape.histogramSummary(formatDuration(baseline.p50), formatDuration(candidate.p50))}
      note={text.shape.note(formatWhole(baseline.count), formatWhole(candidate.count))}
      table={{ head: text.shape.histogramHead, rows }}
    >
      <Ground extent={extent} top={top}>
        <path class="report-area-before" d={steps(before)} />
        <path class="report-area-after" d={steps(after)} />
      </Ground>
    </ChartFrame>
  );
}

function Quantiles({ operation: { baseline, candidate } }: { operation: OperationComparison }) {
  return (
    <TableBox label={text.shape.quantiles}>
      <table>
        <thead>
          <tr>
            {text.shape.quantileHead.map((name, index) => (
              <th key={name} scope="col" class={index > 0 ? 'number' : ''}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {QUANTILES.map((name) => (
            <tr key={name}>
              <th scope="row">{name === 'mean' ? text.shape.mean : name}</th>
              <td class="number">{formatDuration(baseline[name])}</td>
              <td class="number">{formatDuration(candidate[name])}</td>
              <td class="number">{formatChange(candidate[name] - baseline[name])}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableBox>
  );
}
