/**
 * What every chart has around it: a title, what it shows in a sentence, the chart, and the same as a table for who
 * does not see it or wants the numbers.
 */
import type { ComponentChildren } from 'preact';

import { TableBox } from '../shell/table-box';
import { text } from './text';

export interface ChartTable {
  head: string[];
  /** As many cells as the head has. */
  rows: ComponentChildren[][];
}

interface Properties {
  title: string;
  /** One sentence: what is to be seen. It is the chart's name for who does not see it. */
  summary: string;
  /** Window, zone, how many requests, whether it is complete. */
  note?: string;
  table: ChartTable;
  /** There is something in the chart to go to by keyboard; a picture has no such parts. */
  interactive?: boolean;
  children: ComponentChildren;
}

/** A table longer than this is cut, and says so. */
const TABLE_ROWS_MAX = 500;

export function ChartFrame({ title, summary, note, table, interactive, children }: Properties) {
  const rows = table.rows.slice(0, TABLE_ROWS_MAX);
  return (
    <figure class="chart">
      <figcaption>
        <h3>{title}</h3>
        <p class="chart-summary">{summary}</p>
      </figcaption>
      <div class="chart-body" role={interactive ? 'group' : 'img'} aria-label={`${title}: ${summary}`}>
        {children}
      </div>
      {note && <p class="chart-note">{note}</p>}
      <details class="chart-table">
        <summary>{text.asTable}</summary>
        <TableBox label={title}>
          <table>
            <thead>
              <tr>
                {table.head.map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((cells, row) => (
                <tr key={row}>
                  {cells.map((cell, column) => (
                    <td key={column}>{cell}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </TableBox>
        {table.rows.length > rows.length && <p class="muted">{text.cut(rows.length, table.rows.length)}</p>}
      </details>
    </figure>
  );
}
