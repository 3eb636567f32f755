/** How sure it is: what each operation's durations did, with intervals, and what was compared and what was not. */
import type { LeftOut, OperationComparison, Report } from '../api/schema';
import { ChartFrame } from '../chart/frame';
import { Intervals } from '../chart/intervals';
import { formatChange, formatDuration, formatShare } from '../format';
import { changeParameters } from '../location';
import { formatInterval, formatP, formatShareChange, formatWhole, operationName } from './names';
import { OverTime } from './over-time';
import { Panel } from './panel';
import { text } from './text';

/** Operations in the chart; the table has all. */
const SHOWN_MAX = 15;

type Compared = OperationComparison & { shift: NonNullable<OperationComparison['shift']> };

export function Sure({ report, search }: { report: Report; search: string }) {
  const { design, power, confidence, leftOut } = report;
  return (
    <Panel name="sure">
      <ul class="report-facts">
        {confidence != null && <li>{text.sure.confidence(formatConfidence(confidence))}</li>}
        {power?.smallestRelative != null && <li>{text.sure.power(formatShare(power.smallestRelative))}</li>}
        {(power?.requestsMissing ?? 0) > 0 && <li>{text.sure.missing(formatWhole(power?.requestsMissing ?? 0))}</li>}
      </ul>
      <Operations report={report} relative={new URLSearchParams(search).get('show') === 'share'} note={design ? text.sure.note(text.designs[design]) : ''} />
      <OverTime report={report} />
      <LeftOutList leftOut={leftOut} />
    </Panel>
  );
}

/** Never more sure than the digits say: `99.9 %` of 0.9996. */
export function formatConfidence(confidence: number): string {
  if (confidence > 0.999) return '> 99.9 %';
  return `${(Math.floor(confidence * 1000) / 10).toLocaleString('en')} %`;
}

export function Operations({ report, relative, note }: { report: Report; relative: boolean; note: string }) {
  const compared = report.operations.filter((operation): operation is Compared => operation.shift != null);
  if (compared.length === 0) return <p class="muted">{text.sure.nothing}</p>;
  const sizeOf = ({ shift }: Compared) => Math.abs(relative ? shift.relative : shift.estimate);
  const sorted = [...compared].sort((a, b) => sizeOf(b) - sizeOf(a));
  const shown = sorted.slice(0, SHOWN_MAX);
  const moved = compared.filter(({ classification }) => classification === 'high' || classification === 'low').length;
  const format = relative ? formatShareChange : formatChange;
  return (
    <>
      <ChartFrame
        title={text.sure.chart}
        summary={text.sure.summary(moved, compared.length)}
        note={[shown.length < compared.length ? text.sure.shown(shown.length, compared.length) : '', note].join(' ').trim()}
        table={{ head: text.sure.head, rows: sorted.map(tableRow) }}
      >
        <Intervals
          format={format}
          rows={shown.map((operation, index) => {
            const { shift, classification } = operation;
            return {
              key: String(index),
              label: operationName(operation),
              value: format(relative ? shift.relative : shift.estimate),
              tone: classification === 'high' ? 'worse' : classification === 'low' ? 'better' : 'neutral',
              to: relative ? shift.relative : shift.estimate,
              low: relative ? shift.relativeLow : shift.low,
              high: relative ? shift.relativeHigh : shift.high,
            };
          })}
        />
      </ChartFrame>
      <Unit relative={relative} />
    </>
  );
}

function tableRow(operation: Compared): string[] {
  const { shift, pValue, classification } = operation;
  return [
    operationName(operation),
    formatChange(shift.estimate),
    formatInterval(shift.low, shift.high),
    formatShareChange(shift.relative),
    pValue == null ? '–' : formatP(pValue),
    text.sure.classes[classification] ?? classification,
  ];
}

function Unit({ relative }: { relative: boolean }) {
  return (
    <div class="report-toggle no-print" role="group" aria-label={text.sure.unit}>
      <button type="button" aria-pressed={!relative} onClick={() => changeParameters({ show: null })}>
        {text.sure.absolute}
      </button>
      <button type="button" aria-pressed={relative} onClick={() => changeParameters({ show: 'share' })}>
        {text.sure.relative}
      </button>
    </div>
  );
}

function LeftOutList({ leftOut }: { leftOut: LeftOut }) {
  const counts = (Object.keys(text.sure.leftOutNames) as (keyof typeof text.sure.leftOutNames)[]).filter((name) => leftOut[name] > 0);
  const nothing = counts.length === 0 && leftOut.cutMicros === 0;
  return (
    <>
      <h3>{text.sure.leftOut}</h3>
      {nothing && <p>{text.sure.leftOutNothing}</p>}
      <ul class="report-facts">
        {counts.map((name) => (
          <li key={name}>
            {text.sure.traces(formatWhole(leftOut[name]))} {text.sure.leftOutNames[name]}
          </li>
        ))}
        {leftOut.cutMicros > 0 && <li>{text.sure.cut(formatDuration(leftOut.cutMicros))}</li>}
      </ul>
    </>
  );
}
