/** Where the time of an entry operation went: parts that add up to the change of its mean. */
import type { EntryChange, Report } from '../api/schema';
import { ChartFrame } from '../chart/frame';
import { type IntervalRow, type IntervalTone, Intervals } from '../chart/intervals';
import { formatChange, formatDuration } from '../format';
import { Chooser } from './chooser';
import { formatInterval, formatWhole, operationKey, operationName } from './names';
import { Panel } from './panel';
import { sidesOf } from './sentence';
import { text } from './text';
import { type Part, waterfallOf } from './waterfall';

export function Where({ report, search }: { report: Report; search: string }) {
  const keys = report.change.map(({ entry }) => operationKey(entry));
  const chosen = new URLSearchParams(search).get('entry') ?? operationKey(report.findings[0]?.entry ?? { serviceName: '', spanName: '' });
  const change = report.change[Math.max(0, keys.indexOf(chosen))];
  return (
    <Panel name="where">
      {change ? (
        <>
          <Chooser label={text.entry} parameter="entry" value={operationKey(change.entry)} choices={report.change.map(({ entry }) => entry)} />
          <Waterfall report={report} change={change} />
        </>
      ) : (
        <p class="muted">{text.where.nothing}</p>
      )}
    </Panel>
  );
}

function Waterfall({ report, change }: { report: Report; change: EntryChange }) {
  const parts = waterfallOf(change, report.findings);
  const rows: IntervalRow[] = parts.map((part, index) => ({
    key: String(index),
    label: partName(part),
    value: formatChange(part.change),
    tone: toneOf(part),
    from: part.from,
    to: part.to,
    ...(part.low !== undefined && part.high !== undefined && { low: part.from + part.low, high: part.from + part.high }),
  }));
  const told = parts.slice(0, -1).map((part) => `${partName(part)} ${formatChange(part.change)}`);
  const sides = sidesOf(report, change.entry);
  const was = sides ? text.where.was(formatDuration(sides.baseline.mean), formatDuration(sides.candidate.mean)) : '';
  return (
    <ChartFrame
      title={text.where.chart}
      summary={text.where.summary(operationName(change.entry), formatChange(change.total), told.join(', '))}
      note={text.where.note(formatWhole(change.requests.baseline), formatWhole(change.requests.candidate), was)}
      table={{ head: text.where.head, rows: parts.map((part) => [partName(part), formatChange(part.change), intervalOf(part)]) }}
    >
      <Intervals rows={rows} format={formatChange} />
    </ChartFrame>
  );
}

function partName({ kind, finding }: Part): string {
  switch (kind) {
    case 'finding':
      return finding ? `${operationName(finding.origin)}: ${text.causes[finding.cause]}` : '';
    case 'other':
      return text.where.otherFindings;
    case 'mix':
      return text.where.mixShift;
    case 'remainder':
      return text.where.remainder;
    case 'total':
      return text.where.total;
  }
}

function toneOf({ kind, change }: Part): IntervalTone {
  if (kind === 'total') return 'total';
  if (kind === 'remainder' || kind === 'mix') return 'neutral';
  return change < 0 ? 'better' : 'worse';
}

function intervalOf({ low, high }: Part): string {
  return low === undefined || high === undefined ? '–' : formatInterval(low, high);
}
