/** One service: its requests over time, operations, versions, deployments, who calls it and whom it calls. */
import { useEffect, useMemo } from 'preact/hooks';

import type { Answer, UiConfig } from '../api';
import type { JudgedDeployment, OperationList } from '../api/schema';
import { type DependencyLink, getDependencies, getDeploymentsUntil, getOperations } from '../api/services';
import { changeParameters, pathOf, withParameters } from '../location';
import { type Requested, useRequest } from '../request';
import { bandsOf } from '../rollouts';
import { Asked } from '../shell/asked';
import { DataTable } from '../shell/data-table';
import { Link } from '../shell/link';
import { Message } from '../shell/message';
import { PageTime } from '../shell/page-time';
import { RegressedLive } from '../shell/regressed-live';
import { timeRangeParameters } from '../time-range';
import { type AskedWindow, sameTime, useAskedWindow } from '../window';
import { deploymentColumns, linkColumns, operationColumns, operationPath } from './columns';
import { RequestCharts } from './request-charts';
import { searchPath } from './search-path';
import { useOperationSteps } from './service-steps';
import { text } from './text';
import { VersionTable } from './version-table';

interface Properties {
  config: UiConfig;
  search: string;
  serviceName: string;
}

const WEEK_MS = 604_800_000;

export function ServicePage({ config, search, serviceName }: Properties) {
  const asked = useAskedWindow(search, config.defaultLookback);
  useEffect(() => {
    document.title = `${serviceName} · Tracehound`;
  }, [serviceName]);
  const key = `${serviceName} ${asked.key}`;
  const operations = useRequest(key, (signal) => getOperations(asked.api, serviceName, signal));
  const deployments = useRequest(key, (signal) => getDeploymentsUntil(asked.endTs, serviceName, signal));
  const links = useRequest(key, (signal) => getDependencies(asked.api, signal));
  const known = deployments.answer?.body;
  const bands = useMemo(() => bandsOf(known ?? [], asked.endTs), [known, asked.endTs]);
  return (
    <main class="page services-page">
      <p class="muted">
        <Link path={sameTime('services')}>{text.services}</Link>
      </p>
      <h1 class="services-title">
        <bdi>{serviceName}</bdi>
      </h1>
      <p class="services-ways">
        <Link path={searchPath({ serviceName }, asked)}>{text.tracesOf}</Link>
        <Link path={sameTime('map', { service: serviceName, depth: '1' })}>{text.onMap}</Link>
        <Link path={`slo${withParameters('', { create: 'true', serviceName })}`}>{text.newObjective}</Link>
      </p>
      <PageTime asked={asked} />
      <RegressedLive deployments={known ?? []} />
      <Operations operations={operations} serviceName={serviceName} search={search} asked={asked} />
      <RequestCharts question={{ serviceName }} asked={asked} search={search} bands={bands} />
      <VersionTable serviceName={serviceName} asked={asked} search={search} />
      <Deployments deployments={deployments} asked={asked} search={search} />
      <Links links={links} serviceName={serviceName} search={search} />
    </main>
  );
}

interface OperationsProperties {
  operations: Requested<Answer<OperationList>>;
  serviceName: string;
  search: string;
  asked: AskedWindow;
}

function Operations({ operations, serviceName, search, asked }: OperationsProperties) {
  const steps = useOperationSteps(asked);
  const columns = useMemo(() => operationColumns(steps), [steps.known, steps.want]);
  return (
    <section class="services-section">
      <h2>{text.operations}</h2>
      <Asked request={operations} missing={({ body, missing }) => missing ?? (body.leftOut ? text.partialOperations(body.leftOut.operations) : null)}>
        {({ body }) =>
          body.operations.length === 0 ? (
            <Message title={text.noSuchService(serviceName)}>
              <button
                type="button"
                onClick={() => changeParameters(timeRangeParameters({ lookback: WEEK_MS, endTs: asked.range.endTs }), 'push')}
              >
                {text.widen}
              </button>
            </Message>
          ) : (
            <DataTable
              label={text.operations}
              columns={columns}
              rows={body.operations}
              rowKey={(row) => `${row.spanKind} ${row.spanName}`}
              pathOf={operationPath}
              search={search}
            />
          )
        }
      </Asked>
    </section>
  );
}

interface DeploymentsProperties {
  deployments: Requested<Answer<JudgedDeployment[]>>;
  asked: AskedWindow;
  search: string;
}

/** More than these are on the page of deployments. */
const DEPLOYMENTS_SHOWN = 20;

function Deployments({ deployments, asked, search }: DeploymentsProperties) {
  const columns = useMemo(() => deploymentColumns(asked.endTs), [asked.endTs]);
  return (
    <section class="services-section">
      <h2>{text.deployments}</h2>
      <Asked request={deployments} missing={({ missing }) => missing}>
        {({ body }) =>
          body.length === 0 ? (
            <p class="muted">{text.noDeployments}</p>
          ) : (
            <DataTable
              label={text.deployments}
              columns={columns}
              rows={body.slice(0, DEPLOYMENTS_SHOWN)}
              rowKey={(row) => row.id}
              pathOf={(row) => pathOf('deployments', row.id)}
              search={search}
              parameter="deployments"
            />
          )
        }
      </Asked>
    </section>
  );
}

interface LinksProperties {
  links: Requested<Answer<DependencyLink[]>>;
  serviceName: string;
  search: string;
}

function Links({ links, serviceName, search }: LinksProperties) {
  const [callers, callees] = useMemo(() => [linkColumns('parent', text.caller), linkColumns('child', text.callee)], []);
  return (
    <Asked request={links} missing={({ missing }) => missing}>
      {({ body }) => (
        <div class="services-sides">
          <LinkTable title={text.callers} none={text.noCallers} columns={callers} rows={body.filter(({ child }) => child === serviceName)} search={search} />
          <LinkTable title={text.callees} none={text.noCallees} columns={callees} rows={body.filter(({ parent }) => parent === serviceName)} search={search} />
        </div>
      )}
    </Asked>
  );
}

interface LinkTableProperties {
  title: string;
  none: string;
  columns: ReturnType<typeof linkColumns>;
  rows: DependencyLink[];
  search: string;
}

function LinkTable({ title, none, columns, rows, search }: LinkTableProperties) {
  return (
    <section class="services-section">
      <h2>{title}</h2>
      {rows.length === 0 ? (
        <p class="muted">{none}</p>
      ) : (
        <DataTable label={title} columns={columns} rows={rows} rowKey={({ parent, child }) => `${parent} ${child}`} search={search} parameter={title.toLowerCase()} />
      )}
    </section>
  );
}
