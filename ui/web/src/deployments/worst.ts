/** The worst finding of each deployment of a list: what the server finds of all in its time, and the rest one by one. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { getReport } from '../api';
import type { JudgedDeployment, Regression, Report } from '../api/schema';
import { type Line, makeLine } from '../few';
import { mainFinding } from '../report/sentence';
import { worstFindings } from './question';

/** Deployments whose own reports are asked for: each may be an analysis, and who opens a report must not wait for these. */
const REPORTS_MAX = 10;
const REPORTS_AT_ONCE = 1;

/**
 * By identifier; `undefined` until the findings of all have come or `failed`. What changed and is not among them, because
 * the server had no time for it, comes later.
 */
export function useWorst(deployments: readonly JudgedDeployment[], found: readonly Regression[] | undefined, failed: boolean): Map<string, Regression> | undefined {
  const [reports, setReports] = useState<ReadonlyMap<string, Report>>(new Map());
  const line = useRef<Line | null>(null);
  useEffect(() => {
    line.current = makeLine(REPORTS_AT_ONCE, async (id, signal) => {
      // Without an answer the row says no more than it did; its own page says why.
      const report = await getReport(id, signal).catch(() => undefined);
      if (report && !signal.aborted) setReports((before) => new Map(before).set(id, report));
    });
    return () => line.current?.stop();
  }, []);
  const worst = found || failed ? worstFindings(found ?? []) : undefined;
  const left = worst ? leftOf(deployments, worst) : [];
  useEffect(() => {
    for (const { id } of left) line.current?.want(id);
  }, [left.map(({ id }) => id).join()]);
  for (const deployment of left) {
    const report = reports.get(deployment.id);
    const finding = report && mainFinding(report);
    if (finding) worst?.set(deployment.id, { ...finding, deployment, verdict: report.verdict });
  }
  return worst;
}

/** Those that something is known to have changed in, and not what. */
function leftOf(deployments: readonly JudgedDeployment[], worst: ReadonlyMap<string, Regression>): JudgedDeployment[] {
  return deployments.filter(({ id, verdict }) => (verdict === 'regressed' || verdict === 'improved') && !worst.has(id)).slice(0, REPORTS_MAX);
}
