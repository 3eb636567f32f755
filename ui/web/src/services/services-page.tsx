/** All services with their rate, errors, durations, versions, last deployment and what is left of their objectives. */
import { useCallback, useEffect, useMemo } from 'preact/hooks';

import type { UiConfig } from '../api';
import { getServices } from '../api';
import { getDeploymentsUntil, getOperations } from '../api/services';
import { changeParameters, pathOf } from '../location';
import { useRequest } from '../request';
import { liveRegressions, newestByService } from '../rollouts';
import { NoData } from '../search/nothing-found';
import { Asked, Failure } from '../shell/asked';
import { DataTable } from '../shell/data-table';
import { Message } from '../shell/message';
import { PageTime } from '../shell/page-time';
import { sameTime, useAskedWindow } from '../window';
import { useBudgets } from './budgets';
import { serviceFigures } from './figures';
import { serviceColumns, type ServiceRow } from './service-columns';
import { useServiceSteps } from './service-steps';
import { text } from './text';
import { NoVersions } from './no-versions';

interface Properties {
  config: UiConfig;
  search: string;
}

/** How often a server without spans is asked whether it has some now. */
const WAITING_MS = 3000;

export function ServicesPage({ config, search }: Properties) {
  const asked = useAskedWindow(search, config.defaultLookback);
  useEffect(() => {
    document.title = `${text.services} · Tracehound`;
  }, []);
  const operations = useRequest(asked.key, (signal) => getOperations(asked.api, null, signal));
  const names = useRequest(asked.key, getServices);
  const deployments = useRequest(asked.key, (signal) => getDeploymentsUntil(asked.endTs, null, signal));
  const steps = useServiceSteps(asked);
  const budgets = useBudgets(asked);
  const nothingEver = names.answer?.length === 0 && operations.answer?.body.operations.length === 0;
  useEffect(() => {
    if (!nothingEver) return;
    const timer = setInterval(asked.again, WAITING_MS);
    return () => clearInterval(timer);
  }, [nothingEver]);

  const parameters = new URLSearchParams(search);
  const filter = parameters.get('filter') ?? '';
  const onlyRegressed = parameters.get('regressed') === 'live';
  const rows = useMemo(() => {
    const judged = deployments.answer?.body ?? [];
    const newest = newestByService(judged);
    const regressed = new Set(liveRegressions(judged).map(({ serviceName }) => serviceName));
    const figures = serviceFigures(operations.answer?.body.operations ?? [], names.answer ?? []);
    return figures.map((figure) => ({ ...figure, deployment: newest.get(figure.serviceName), regressed: regressed.has(figure.serviceName) }));
  }, [operations.answer, names.answer, deployments.answer]);
  const shown = useMemo(() => filtered(rows, filter, onlyRegressed), [rows, filter, onlyRegressed]);
  const onSeen = useCallback(
    (name: string) => {
      steps.want(name);
      budgets.want(name);
    },
    [steps.want, budgets.want],
  );
  const sort = parameters.get('sort') ?? '';
  const sortsBySteps = ['p50', 'p95', 'p99', 'versions', 'slo'].includes(sort.replace('-', ''));
  useEffect(() => {
    if (!sortsBySteps) return;
    for (const { serviceName } of shown) onSeen(serviceName);
  }, [sortsBySteps, shown, onSeen]);
  const columns = useMemo(() => serviceColumns(steps, budgets, onSeen, asked.endTs), [steps.known, budgets.known, onSeen, asked.key]);
  if (nothingEver) {
    return (
      <main class="page">
        <h1 class="visually-hidden">{text.services}</h1>
        <NoData />
      </main>
    );
  }
  return (
    <main class="page services-page">
      <h1>{text.services}</h1>
      <PageTime asked={asked} />
      <Failure request={deployments} />
      <Failure request={names} />
      <Asked request={operations} missing={({ body, missing }) => missing ?? (body.leftOut ? text.partialOperations(body.leftOut.operations) : null)}>
        {() => (
          <>
            <Filter filter={filter} onlyRegressed={onlyRegressed} shown={shown.length} all={rows.length} />
            <NoVersions steps={steps} services={shown.length} />
            {shown.length === 0 ? (
              <Message title={text.noneMatches}>
                <button type="button" onClick={() => changeParameters({ filter: null, regressed: null }, 'push')}>
                  {text.clearFilter}
                </button>
              </Message>
            ) : (
              <DataTable
                label={text.services}
                columns={columns}
                rows={shown}
                rowKey={(row) => row.serviceName}
                pathOf={(row) => sameTime(pathOf('services', row.serviceName))}
                search={search}
              />
            )}
          </>
        )}
      </Asked>
    </main>
  );
}

interface FilterProperties {
  filter: string;
  onlyRegressed: boolean;
  shown: number;
  all: number;
}

function Filter({ filter, onlyRegressed, shown, all }: FilterProperties) {
  const type = (event: Event) => changeParameters({ filter: (event.currentTarget as HTMLInputElement).value || null });
  const choose = (event: Event) => changeParameters({ regressed: (event.currentTarget as HTMLInputElement).checked ? 'live' : null });
  return (
    <div class="services-filter" role="search" aria-label={text.filter}>
      <input type="search" value={filter} aria-label={text.filter} placeholder={text.filter} onInput={type} />
      <label class="services-check">
        <input type="checkbox" checked={onlyRegressed} onChange={choose} /> {text.onlyRegressed}
      </label>
      <span class="muted" role="status">
        {text.shownOf(shown, all)}
      </span>
    </div>
  );
}

/** Those whose name has the text, whatever its case; busy ones first. */
export function filtered(rows: readonly ServiceRow[], filter: string, onlyRegressed: boolean): ServiceRow[] {
  const wanted = filter.trim().toLowerCase();
  return rows
    .filter((row) => row.serviceName.toLowerCase().includes(wanted) && (!onlyRegressed || row.regressed))
    .sort((a, b) => b.count - a.count || (a.serviceName < b.serviceName ? -1 : 1));
}
