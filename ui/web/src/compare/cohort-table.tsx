/** The operations of two groups of traces by call path: before, after, how sure, and what changed. */
import type { OperationSide, Report, TraceDiff } from '../api/schema';
import { formatChange, formatDuration } from '../format';
import { formatShareChange, formatWhole, operationKey, operationName } from '../report/names';
import { text as words } from '../report/text';
import { Link } from '../shell/link';
import { TableBox } from '../shell/table-box';
import { Controls } from './pair-table';
import { type PathRow, pathRows } from './path-rows';
import { text } from './text';

/** The report has at most 500. */
const ROWS_MAX = 500;
const DEPTH_MAX = 12;

interface Properties {
  report: Report;
  /** One trace of each side, for the order of calls. */
  pair: TraceDiff | undefined;
  pairPath: string | undefined;
  search: string;
}

export function CohortTable({ report, pair, pairPath, search }: Properties) {
  const parameters = new URLSearchParams(search);
  const onlyChanged = parameters.get('only') === 'changed';
  const relative = parameters.get('show') === 'share';
  const rows = pathRows(report, pair).filter(({ changed }) => changed || !onlyChanged).slice(0, ROWS_MAX);
  const { path, a, b, change, calls, what } = text.tableHead;
  return (
    <section>
      <h2>{text.table}</h2>
      <Controls onlyChanged={onlyChanged} relative={relative} />
      <TableBox label={text.table}>
        <table class="compare-rows">
          <thead>
            <tr>
              <th scope="col">{path}</th>
              <th scope="col" class="number">{a}</th>
              <th scope="col" class="number">{b}</th>
              <th scope="col" class="number">{change}</th>
              <th scope="col" class="number">{calls}</th>
              <th scope="col">{what}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <Row key={operationKey(row.operation)} row={row} relative={relative} pairPath={pairPath} />
            ))}
          </tbody>
        </table>
      </TableBox>
      {rows.length === 0 && <p>{text.nothingChanged}</p>}
      {pair && <p class="muted">{text.structure}</p>}
    </section>
  );
}

function Row({ row, relative, pairPath }: { row: PathRow; relative: boolean; pairPath: string | undefined }) {
  const { operation, depth = 0, finding, inherits, changed } = row;
  const { baseline, candidate, shift, classification } = operation;
  const [callsA, callsB] = [callsOf(baseline), callsOf(candidate)];
  return (
    <tr class={changed ? 'compare-changed' : ''}>
      <th scope="row" class="compare-path" style={{ paddingLeft: `${12 + 14 * Math.min(depth, DEPTH_MAX)}px` }}>
        {operationName(operation)} <small>{(operation.spanKind ?? '').toLowerCase()}</small>
      </th>
      <SideCell side={baseline} />
      <SideCell side={candidate} />
      <td class="number">
        {shift == null ? meanChange(baseline, candidate) : relative ? formatShareChange(shift.relative) : formatChange(shift.estimate)}
        {shift != null && <span class="compare-interval">{relative ? `${formatShareChange(shift.relativeLow)} – ${formatShareChange(shift.relativeHigh)}` : text.interval(...intervalOf(shift.low, shift.high))}</span>}
      </td>
      <td class="number">{callsA === callsB ? callsB : `${callsA} → ${callsB}`}</td>
      <td class="compare-what">
        {finding ? (
          <>
            <span class="compare-origin">{text.origin}</span> {pairPath ? <Link path={pairPath}>{words.causes[finding.cause]}</Link> : words.causes[finding.cause]}
          </>
        ) : inherits ? (
          text.inherits
        ) : (
          (text.classes[classification] ?? classification)
        )}
      </td>
    </tr>
  );
}

function intervalOf(low: number, high: number): [string, string] {
  return [formatChange(low), formatChange(high)];
}

/** Without an interval: how the means differ, if both sides have one. */
function meanChange(baseline: OperationSide, candidate: OperationSide): string {
  return baseline.count === 0 || candidate.count === 0 ? '–' : formatChange(candidate.mean - baseline.mean);
}

function callsOf({ count, callsPerTrace }: OperationSide): string {
  return count === 0 ? '0' : callsPerTrace.toLocaleString('en', { maximumFractionDigits: 1 });
}

function SideCell({ side: { count, p50 } }: { side: OperationSide }) {
  return (
    <td class="number">
      {count === 0 ? '–' : formatDuration(p50)}
      <span class="compare-interval">{text.ofSpans(formatWhole(count))}</span>
    </td>
  );
}
