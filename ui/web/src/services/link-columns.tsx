/** Columns of tables of links: what is told of the calls, without who makes and who answers them. */
import type { DependencyLink } from '../api/services';
import type { Column } from '../shell/data-table';
import { Errors, Took } from './cells';
import { text } from './text';

/** Calls, the share of them that failed, and how long they took. */
export function callColumns(percentiles: readonly ('p50' | 'p95' | 'p99')[]): Column<DependencyLink>[] {
  return [
    { key: 'calls', title: text.calls, numeric: true, cell: ({ callCount }) => callCount.toLocaleString('en'), sortBy: ({ callCount }) => callCount },
    {
      key: 'errors',
      title: text.errors,
      numeric: true,
      cell: ({ callCount, errorCount = 0 }) => <Errors errors={errorCount} count={callCount} />,
      sortBy: ({ callCount, errorCount = 0 }) => (callCount === 0 ? undefined : errorCount / callCount),
    },
    ...percentiles.map(
      (key): Column<DependencyLink> => ({ key, title: text[key], numeric: true, cell: (link) => <Took duration={link[key]} />, sortBy: (link) => link[key] }),
    ),
  ];
}
