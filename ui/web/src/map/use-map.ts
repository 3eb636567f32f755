/** Everything that the map asks the server, put together by service. */
import { useEffect, useMemo } from 'preact/hooks';

import type { Answer } from '../api';
import type { JudgedDeployment } from '../api/schema';
import { type DependencyLink, getDependencies, getDeploymentsUntil, getOperations } from '../api/services';
import { type Requested, useRequest } from '../request';
import { serviceFigures } from '../services/figures';
import { useServiceSteps } from '../services/service-steps';
import { type AskedWindow } from '../window';
import { type Comparison, deltaOf, type Delta, type NodeFigures, nodeFigures } from './figures';
import { linkKey, type MapNode } from './graph';

export interface MapFigures {
  node: (serviceName: string) => NodeFigures;
  /** How the p95 of a link changed. */
  link: (link: DependencyLink) => Delta | undefined;
  deployments: (serviceName: string) => readonly JudgedDeployment[];
}

/** The window before, as long. */
function before(asked: AskedWindow): AskedWindow {
  const lookback = asked.endTs - asked.startTs;
  const api = { endTs: String(asked.startTs), lookback: String(lookback) };
  return { ...asked, api, startTs: Math.max(0, asked.startTs - lookback), endTs: asked.startTs, key: `${api.endTs} ${api.lookback}` };
}

export function useLinks(asked: AskedWindow): Requested<Answer<DependencyLink[]>> {
  return useRequest(asked.key, (signal) => getDependencies(asked.api, signal));
}

/** Figures of the services that are shown; those of many operations come one after another. */
export function useMapFigures(asked: AskedWindow, links: readonly DependencyLink[], shown: readonly MapNode[], comparison: Comparison): MapFigures {
  const earlier = useMemo(() => before(asked), [asked]);
  const operations = useRequest(asked.key, (signal) => getOperations(asked.api, null, signal));
  const deployments = useRequest(asked.key, (signal) => getDeploymentsUntil(asked.endTs, null, signal));
  const linksBefore = useRequest(comparison === 'before' ? earlier.key : null, (signal) => getDependencies(earlier.api, signal));
  const steps = useServiceSteps(asked);
  const stepsBefore = useServiceSteps(earlier);
  useEffect(() => {
    for (const { serviceName } of shown) {
      steps.want(serviceName);
      if (comparison === 'before') stepsBefore.want(serviceName);
    }
  }, [shown, comparison, steps.want, stepsBefore.want]);
  return useMemo(() => {
    const figures = new Map(serviceFigures(operations.answer?.body.operations ?? [], []).map((figure) => [figure.serviceName, figure]));
    const incoming = grouped(links.filter(({ parent, child }) => parent !== child), ({ child }) => child);
    const deployed = grouped(deployments.answer?.body ?? [], ({ serviceName }) => serviceName);
    const then = new Map((linksBefore.answer?.body ?? []).map((link) => [linkKey(link), link.p95]));
    return {
      node: (name) =>
        nodeFigures(
          {
            figures: figures.get(name),
            steps: steps.known.get(name)?.answer,
            before: stepsBefore.known.get(name)?.answer,
            incoming: incoming.get(name) ?? [],
            deployments: deployed.get(name) ?? [],
          },
          asked,
          comparison,
        ),
      link: (link) => (comparison === 'before' ? deltaOf(then.get(linkKey(link)), link.p95) : undefined),
      deployments: (name) => deployed.get(name) ?? [],
    };
  }, [operations.answer, deployments.answer, linksBefore.answer, links, steps.known, stepsBefore.known, asked, comparison]);
}

function grouped<T>(items: readonly T[], nameOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = nameOf(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}
