/**
 * A table whose order is in the address (`sort=p99`, `sort=-p99`), and whose rows the keyboard walks: `j`, `k`, Enter.
 */
import { type ComponentChildren, Fragment } from 'preact';
import { useMemo, useState } from 'preact/hooks';

import { useShortcuts } from '../keyboard';
import { changeParameters, navigate } from '../location';
import { TableBox } from './table-box';
import { text } from './text';

export interface Column<Row> {
  /** In the address. */
  key: string;
  title: string;
  /** Aligned to the right, and first sorted from the largest. */
  numeric?: boolean;
  cell: (row: Row) => ComponentChildren;
  /** What it is sorted by; a column without it cannot be. Missing values come last in either direction. */
  sortBy?: (row: Row) => number | string | undefined;
}

interface Properties<Row> {
  /** What the table is about, for who does not see it. */
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string;
  /** Where Enter on a row leads, relative to the base. */
  pathOf?: (row: Row) => string;
  /** The address's query. */
  search: string;
  /** The parameter that has the order, where a page has more than one table. */
  parameter?: string;
  /** What rows that follow each other have in common, written above them; not where the user chose an order. */
  groupOf?: (row: Row) => string;
}

export function DataTable<Row>(properties: Properties<Row>) {
  const { label, columns, rows, rowKey, pathOf, search, parameter = 'sort', groupOf } = properties;
  const sort = new URLSearchParams(search).get(parameter) ?? '';
  const sorted = useMemo(() => inOrder(rows, columns, sort), [rows, columns, sort]);
  const groups = sort === '' && groupOf ? sorted.map(groupOf) : undefined;
  const [active, setActive] = useState(-1);
  const walk = (step: number) => setActive((before) => Math.max(0, Math.min(sorted.length - 1, before + step)));
  const open = () => {
    const row = sorted[active];
    if (row !== undefined && pathOf) navigate(pathOf(row));
  };
  useShortcuts(label, [
    { keys: ['j'], text: text.nextRow, run: () => walk(1) },
    { keys: ['k'], text: text.previousRow, run: () => walk(-1) },
    ...(pathOf ? [{ keys: ['Enter'], text: text.openRow, run: open }] : []),
  ]);
  return (
    <TableBox label={label}>
      <table class="data-table">
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.key} column={column} sort={sort} parameter={parameter} />
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((row, index) => (
            <Fragment key={rowKey(row)}>
              {groups && groups[index] !== groups[index - 1] && (
                <tr class="group">
                  <th scope="colgroup" colSpan={columns.length}>
                    {groups[index]}
                  </th>
                </tr>
              )}
              <tr class={index === active ? 'active' : ''}>
                {columns.map(({ key, numeric, cell }) => (
                  <td key={key} class={numeric ? 'number' : ''}>
                    {cell(row)}
                  </td>
                ))}
              </tr>
            </Fragment>
          ))}
        </tbody>
      </table>
    </TableBox>
  );
}

function Head<Row>({ column, sort, parameter }: { column: Column<Row>; sort: string; parameter: string }) {
  const { key, title, numeric, sortBy } = column;
  const direction = sort === key ? 'ascending' : sort === `-${key}` ? 'descending' : undefined;
  const next = direction === undefined ? (numeric ? `-${key}` : key) : direction === 'ascending' ? `-${key}` : key;
  return (
    <th scope="col" class={numeric ? 'number' : ''} aria-sort={direction}>
      {sortBy ? (
        <button type="button" class="sort" onClick={() => changeParameters({ [parameter]: next })}>
          {title}
          {direction && <span aria-hidden="true">{direction === 'ascending' ? ' ▲' : ' ▼'}</span>}
        </button>
      ) : (
        title
      )}
    </th>
  );
}

/** The rows by the column that `sort` names, `-` before it for the largest first; as they came where it names none. */
export function inOrder<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sort: string): Row[] {
  const down = sort.startsWith('-');
  const sortBy = columns.find(({ key }) => key === (down ? sort.slice(1) : sort))?.sortBy;
  if (!sortBy) return [...rows];
  const keyed = rows.map((row) => ({ row, key: sortBy(row) }));
  keyed.sort((a, b) => {
    if (a.key === undefined || b.key === undefined) return Number(a.key === undefined) - Number(b.key === undefined);
    const order = a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
    return down ? -order : order;
  });
  return keyed.map(({ row }) => row);
}
