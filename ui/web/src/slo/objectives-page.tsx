/** All objectives with what is left of their budgets, and the form for a new one. */
import { useCallback, useEffect, useMemo } from 'preact/hooks';

import { getBudget, getObjectives } from '../api/objectives';
import type { Budget, Objective } from '../api/schema';
import { type Piece, useFew } from '../few';
import { digits, formatDuration, formatShare } from '../format';
import { navigate, pathOf } from '../location';
import { useRequest } from '../request';
import { Asked } from '../shell/asked';
import { type Column, DataTable } from '../shell/data-table';
import { Link } from '../shell/link';
import { Message } from '../shell/message';
import { Seen } from '../shell/seen';
import { budgetLeft, burnIn, exhaustion, LISTED_WINDOWS, objectiveText, PROJECTED_BY } from './budget';
import { BudgetBar } from './budget-bar';
import { newDraft } from './form';
import { ObjectiveForm } from './objective-form';
import { text } from './text';

export function ObjectivesPage({ search }: { search: string }) {
  useEffect(() => {
    document.title = `${text.objectives} · Tracehound`;
  }, []);
  const creating = new URLSearchParams(search).get('create') === 'true';
  const objectives = useRequest('objectives', getObjectives);
  return (
    <main class="page slo-page">
      <h1>{text.objectives}</h1>
      {creating ? (
        <ObjectiveForm initial={newDraft(search)} onDone={(name) => navigate(name === null ? 'slo' : pathOf('slo', name))} />
      ) : (
        <p class="slo-ways">
          <button type="button" class="primary" onClick={() => navigate('slo?create=true')}>
            {text.create}
          </button>
        </p>
      )}
      <Asked request={objectives}>{(all) => (all.length === 0 ? !creating && <NoObjectives /> : <Objectives all={all} search={search} />)}</Asked>
    </main>
  );
}

function NoObjectives() {
  return (
    <Message title={text.none}>
      <p>{text.noneWhy}</p>
      <Link path="services">{text.toServices}</Link>
    </Message>
  );
}

function Objectives({ all, search }: { all: Objective[]; search: string }) {
  const now = useMemo(() => Date.now(), [all]);
  const budgets = useFew(String(now), async (name, signal) => (await getBudget(name, now, signal)).body);
  const want = useCallback((name: string) => budgets.want(name), [budgets.want]);
  const sort = new URLSearchParams(search).get('sort') ?? '';
  const byBudget = sort !== '' && !['name', '-name', 'of', '-of'].includes(sort);
  useEffect(() => {
    if (byBudget) for (const { name } of all) want(name);
  }, [byBudget, all, want]);
  const columns = useMemo(() => columnsOf(budgets.known, want), [budgets.known, want]);
  return <DataTable label={text.objectives} columns={columns} rows={all} rowKey={({ name }) => name} pathOf={({ name }) => pathOf('slo', name)} search={search} />;
}

function columnsOf(known: ReadonlyMap<string, Piece<Budget>>, want: (name: string) => void): Column<Objective>[] {
  const budgetOf = ({ name }: Objective) => known.get(name)?.answer;
  const burn = (window: number): Column<Objective> => ({
    key: `burn-${window / 60_000}`,
    title: text.burn(LISTED_WINDOWS[window] ?? ''),
    numeric: true,
    cell: (row) => <Burn budget={budgetOf(row)} window={window} />,
    sortBy: (row) => {
      const budget = budgetOf(row);
      return budget && burnIn(budget, window)?.shown;
    },
  });
  return [
    {
      key: 'name',
      title: text.name,
      cell: ({ name }) => (
        <Link path={pathOf('slo', name)} class="slo-name">
          <bdi>{name}</bdi>
        </Link>
      ),
      sortBy: ({ name }) => name,
    },
    {
      key: 'objective',
      title: text.objective,
      cell: (row) => (
        <>
          {objectiveText(row)}
          <br />
          <span class="muted">{text.days(row.windowDays)}</span>
        </>
      ),
    },
    {
      key: 'of',
      title: text.of,
      cell: (row) => <Whose objective={row} />,
      sortBy: ({ serviceName, spanName }) => `${serviceName} ${spanName ?? ''}`,
    },
    { key: 'now', title: text.now, numeric: true, cell: (row) => <Good budget={budgetOf(row)} />, sortBy: (row) => budgetOf(row)?.sli ?? undefined },
    {
      key: 'left',
      title: text.left,
      cell: (row) => (
        <Seen name={row.name} onSeen={want}>
          <Left piece={known.get(row.name)} />
        </Seen>
      ),
      sortBy: (row) => {
        const budget = budgetOf(row);
        return budget && budgetLeft(budget);
      },
    },
    ...Object.keys(LISTED_WINDOWS).map((window) => burn(Number(window))),
    { key: 'exhausted', title: text.exhausted, numeric: true, cell: (row) => <Exhausted budget={budgetOf(row)} /> },
    { key: 'alerts', title: text.alerts, cell: (row) => <Alerts budget={budgetOf(row)} /> },
  ];
}

export function Whose({ objective: { serviceName, spanName } }: { objective: Objective }) {
  const path = spanName == null ? pathOf('services', serviceName) : pathOf('services', serviceName, spanName);
  return (
    <Link path={path} class="slo-name">
      <bdi>
        {serviceName} {spanName ?? ''}
      </bdi>
    </Link>
  );
}

function Left({ piece }: { piece: Piece<Budget> | undefined }) {
  if (!piece) return <span class="slo-skeleton">{text.loading}</span>;
  return piece.answer ? <BudgetBar budget={piece.answer} /> : <span class="error-note">{piece.error}</span>;
}

/** Never without how many requests it is of. */
function Good({ budget }: { budget: Budget | undefined }) {
  if (!budget) return null;
  if (budget.sli == null) return <span class="muted">{text.noRequests}</span>;
  return (
    <>
      {formatShare(budget.sli)}
      <br />
      <span class="muted">{text.counts(budget.good, budget.valid)}</span>
    </>
  );
}

export function Burn({ budget, window }: { budget: Budget | undefined; window: number }) {
  const burn = budget && burnIn(budget, window);
  if (!burn) return null;
  const title = text.burnOf(burn.bad, burn.valid);
  if (burn.shown === undefined) return <span class="muted" title={title}>–</span>;
  return (
    <span class={burn.shown > 1 ? 'slo-fast' : ''} title={title}>
      {text.burnTimes(digits(burn.shown))}
    </span>
  );
}

export function Exhausted({ budget }: { budget: Budget | undefined }) {
  const lasts = budget && exhaustion(budget);
  if (lasts === undefined) return <span class="muted">–</span>;
  if (lasts === 'spent') return <span class="slo-fast">{text.spent}</span>;
  const title = text.atRate(formatDuration(PROJECTED_BY * 1000));
  return <span title={title}>{lasts === 'never' ? text.never : formatLasting(lasts)}</span>;
}

/** Milliseconds in hours, or in days from two on. */
function formatLasting(ms: number): string {
  const days = ms / 86_400_000;
  return days >= 2 ? text.days(Math.floor(days)) : formatDuration(ms * 1000);
}

function Alerts({ budget }: { budget: Budget | undefined }) {
  if (!budget) return null;
  const firing = budget.alerts.filter((alert) => alert.firing).length;
  return firing === 0 ? <span class="muted">{text.quiet}</span> : <span class="slo-fast">✖ {text.firing(firing)}</span>;
}
