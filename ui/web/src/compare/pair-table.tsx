/** The rows of two traces: what each took, when, and what changed, in words. */
import { useMemo } from 'preact/hooks';

import type { TraceDiff } from '../api/schema';
import type { Span } from '../api';
import { formatChange, formatDuration, formatExact } from '../format';
import { changeParameters } from '../location';
import { formatShareChange, operationName } from '../report/names';
import { TableBox } from '../shell/table-box';
import { CHANGE_MIN_SHARE, type ChangeWord, type PairRow, pairRows, type RowSide } from './pair-rows';
import { text } from './text';

/** Rows at first, and more for each time more are asked for. */
const ROWS_STEP = 300;

/** Deeper rows are no further to the right. */
const DEPTH_MAX = 12;

interface Properties {
  diff: TraceDiff;
  a: Span[];
  b: Span[];
  search: string;
}

export function PairTable({ diff, a, b, search }: Properties) {
  const parameters = new URLSearchParams(search);
  const open = parameters.get('open') ?? '';
  const rows = useMemo(() => pairRows(diff, a, b, openOf(open)), [diff, a, b, open]);
  const onlyChanged = parameters.get('only') === 'changed';
  const relative = parameters.get('show') === 'share';
  const chosen = onlyChanged ? rows.filter(({ words }) => words.length > 0) : rows;
  const shown = chosen.slice(0, Number(parameters.get('rows')) || ROWS_STEP);
  const end = Math.max(1, ...shown.flatMap((row) => [row.a.to ?? 0, row.b.to ?? 0]));
  const least = CHANGE_MIN_SHARE * Math.max(diff.baseline.duration ?? 0, diff.candidate.duration ?? 0);
  return (
    <>
      <Controls onlyChanged={onlyChanged} relative={relative} />
      <p class="muted">
        {text.legend} {text.least(formatDuration(least))}
      </p>
      {shown.length === 0 && <p>{text.nothingChanged}</p>}
      <TableBox label={text.pairTitle}>
        <table class="compare-rows">
          <thead>
            <tr>
              <th scope="col">{text.columns.path}</th>
              <th scope="col" class="number">{text.columns.a}</th>
              <th scope="col" class="number">{text.columns.b}</th>
              <th scope="col" class="number">{text.columns.change}</th>
              <th scope="col" class="number">{text.columns.critical}</th>
              <th scope="col">{text.columns.time}</th>
              <th scope="col">{text.columns.what}</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <Row key={row.index} row={row} end={end} relative={relative} open={open} />
            ))}
          </tbody>
        </table>
      </TableBox>
      {chosen.length > shown.length && (
        <button type="button" onClick={() => changeParameters({ rows: String(shown.length + ROWS_STEP) })}>
          {text.more(Math.min(ROWS_STEP, chosen.length - shown.length).toLocaleString('en'))}
        </button>
      )}
    </>
  );
}

export function Controls({ onlyChanged, relative }: { onlyChanged: boolean; relative: boolean }) {
  return (
    <div class="compare-controls">
      <label>
        <input type="checkbox" checked={onlyChanged} onChange={() => changeParameters({ only: onlyChanged ? null : 'changed' })} /> {text.onlyChanged}
      </label>
      <div class="compare-toggle" role="group" aria-label={text.units}>
        <button type="button" aria-pressed={!relative} onClick={() => changeParameters({ show: null })}>
          {text.absolute}
        </button>
        <button type="button" aria-pressed={relative} onClick={() => changeParameters({ show: 'share' })}>
          {text.relative}
        </button>
      </div>
    </div>
  );
}

function openOf(open: string): Set<number> {
  return new Set(open.split('.').filter((part) => part !== '').map(Number));
}

function Row({ row, end, relative, open }: { row: PairRow; end: number; relative: boolean; open: string }) {
  const { span, depth, a, b, durationChange, pathChange, words, size, index } = row;
  const before = a.duration ?? 0;
  const change = (value: number) => (relative && before > 0 ? formatShareChange(value / before) : formatChange(value));
  const failed = a.failed || b.failed;
  return (
    <tr class={words.length > 0 ? 'compare-changed' : ''}>
      <th scope="row" class="compare-path" style={{ paddingLeft: `${12 + 14 * Math.min(depth, DEPTH_MAX)}px` }}>
        {operationName(span)} <small>{(span.spanKind ?? '').toLowerCase()}</small>
        {failed && <small class="error-mark"> ✖ {text.failed}</small>}
        {size > 1 && <Group index={index} isOpen={row.open} size={size} open={open} />}
      </th>
      <SideCell side={a} />
      <SideCell side={b} />
      <td class="number" title={durationChange === undefined ? undefined : formatExact(durationChange)}>
        {durationChange === undefined ? '–' : change(durationChange)}
      </td>
      <td class="number">{pathChange === 0 ? '–' : change(pathChange)}</td>
      <td class="compare-bars">
        <Bars a={a} b={b} end={end} />
      </td>
      <td class="compare-what">{words.length === 0 ? text.noChange : words.map((word) => wordText(word, row)).join(', ')}</td>
    </tr>
  );
}

function wordText(word: ChangeWord, { a, b, selfChange }: PairRow): string {
  if (word === 'count') return text.calls(a.count, b.count);
  if (word === 'self') return text.self(formatChange(selfChange));
  return text.words[word];
}

function Group({ index, isOpen, size, open }: { index: number; isOpen: boolean; size: number; open: string }) {
  const others = [...openOf(open)].filter((other) => other !== index);
  const next = isOpen ? others : [...others, index];
  return (
    <button type="button" class="compare-group" aria-expanded={isOpen} title={isOpen ? text.close : text.open} onClick={() => changeParameters({ open: next.length === 0 ? null : next.join('.') })}>
      {text.times(size)} {isOpen ? '▾' : '▸'}
    </button>
  );
}

function SideCell({ side }: { side: RowSide }) {
  const { count, duration, ordering } = side;
  return (
    <td class="number">
      {count === 0 ? '–' : formatDuration(duration)}
      {count > 1 && ` ${text.times(count)}`}
      {ordering && <Glyph isParallel={ordering === 'parallel'} />}
    </td>
  );
}

export function Glyph({ isParallel }: { isParallel: boolean }) {
  const name = isParallel ? text.parallel : text.serial;
  return (
    <span class="compare-glyph" title={name}>
      <span aria-hidden="true">{isParallel ? '∥' : '→'}</span>
      <span class="visually-hidden">{name}</span>
    </span>
  );
}

/** A above B, on one scale. */
function Bars({ a, b, end }: { a: RowSide; b: RowSide; end: number }) {
  return (
    <svg width="100%" height="20" aria-hidden="true">
      <Bar side={a} y={1} name="before" end={end} />
      <Bar side={b} y={11} name="after" end={end} />
    </svg>
  );
}

function Bar({ side: { from, to }, y, name, end }: { side: RowSide; y: number; name: string; end: number }) {
  if (from === undefined || to === undefined) return null;
  return <rect class={`compare-bar-${name}`} x={`${(100 * from) / end}%`} width={`${Math.max(0.3, (100 * (to - from)) / end)}%`} y={y} height="8" rx="1" />;
}
