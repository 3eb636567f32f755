/** The operations of a trace as a table. */
import { useMemo } from 'preact/hooks';

import { formatDuration, formatExact, formatShare } from '../format';
import { colourClass } from '../service-colour';
import { type Column, DataTable } from '../shell/data-table';
import type { Model } from './model';
import { brief } from './names';
import { type Operation, operationsOf } from './operations';
import { text } from './text';
import { UsualCell, type UsualAnswers, useUsual } from './usual-cell';
import type { TraceView } from './view';

/** More are not read by anybody. */
const ROWS_MAX = 500;

interface Properties {
  model: Model;
  /** It is on the server, which knows more of its kind. */
  stored: boolean;
  search: string;
}

export function OperationTable({ model, stored, search }: Properties) {
  const { view, first, last, hidden } = model;
  const operations = useMemo(() => operationsOf(view.rows, first, last, hidden), [view, first, last, hidden]);
  const usual = useUsual(view);
  const columns = useMemo(() => columnsOf(model, operations, stored ? usual : null), [model.colours, operations, model.goTo, stored, usual.known, usual.onSeen]);
  const shown = operations.slice(0, ROWS_MAX);
  return (
    <div class="trace-table">
      {operations.length > shown.length && <p class="muted">{text.operationsCut(shown.length, operations.length)}</p>}
      <DataTable
        label={text.operationsLabel}
        columns={columns}
        rows={shown}
        rowKey={({ service, name }) => `${service}/${name}`}
        search={search}
      />
    </div>
  );
}

function columnsOf(model: Model, operations: readonly Operation[], usual: UsualAnswers | null): Column<Operation>[] {
  const { view, colours, goTo } = model;
  const self = operations.reduce((sum, operation) => sum + operation.self, 0);
  const critical = operations.reduce((sum, operation) => sum + operation.critical, 0);
  const serviceOf = ({ service }: Operation) => view.services[service] ?? text.unknownService;
  const nameOf = ({ name }: Operation) => view.names[name] || text.unnamedSpan;
  const time = (key: string, title: string, of: (operation: Operation) => number): Column<Operation> => ({
    key,
    title,
    numeric: true,
    sortBy: of,
    cell: (operation) => <span title={formatExact(of(operation))}>{formatDuration(of(operation))}</span>,
  });
  const share = (part: number, whole: number) => (whole > 0 ? formatShare(part / whole) : '–');
  return [
    {
      key: 'operation',
      title: text.operation,
      sortBy: (operation) => `${serviceOf(operation)} ${nameOf(operation)}`,
      cell: (operation) => (
        <span class="trace-operation">
          <span class={`swatch ${colourClass(colours.get(serviceOf(operation)))}`} />
          <bdi class="trace-row-service">{brief(serviceOf(operation))}</bdi> <bdi>{brief(nameOf(operation))}</bdi>
        </span>
      ),
    },
    { key: 'calls', title: text.callCount, numeric: true, sortBy: ({ calls }) => calls, cell: ({ calls }) => calls.toLocaleString('en') },
    {
      key: 'errors',
      title: text.errorCount,
      numeric: true,
      sortBy: ({ errors }) => errors,
      cell: ({ errors }) => (errors === 0 ? '–' : <span class="error-note">✖ {errors.toLocaleString('en')}</span>),
    },
    time('total', text.total, ({ total }) => total),
    time('self', text.selfColumn, (operation) => operation.self),
    {
      key: 'share',
      title: text.selfShare,
      numeric: true,
      sortBy: (operation) => operation.self,
      cell: (operation) => share(operation.self, self),
    },
    {
      key: 'critical',
      title: text.criticalColumn,
      numeric: true,
      sortBy: (operation) => operation.critical,
      cell: (operation) => (operation.critical === 0 ? '–' : `${formatDuration(operation.critical)} · ${share(operation.critical, critical)}`),
    },
    {
      key: 'longest',
      title: text.longest,
      numeric: true,
      sortBy: ({ longest }) => longest,
      cell: ({ longest, slowest }) => (
        <button type="button" class="trace-link" onClick={() => goTo(slowest, true)}>
          {longest < 0 ? '–' : formatDuration(longest)}
        </button>
      ),
    },
    ...(usual ? [usualColumn(view, usual)] : []),
  ];
}

function usualColumn(view: TraceView, answers: UsualAnswers): Column<Operation> {
  return { key: 'usual', title: text.usualColumn, numeric: true, cell: (operation) => <UsualCell view={view} operation={operation} answers={answers} /> };
}
