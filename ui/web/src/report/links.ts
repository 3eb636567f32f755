/** From a report to the pages that compare. */
import type { Report } from '../api/schema';

/** Two traces side by side. */
export function pairPath(baseline: string, candidate: string): string {
  return `compare?${new URLSearchParams({ a: baseline, b: candidate })}`;
}

/** All traces of both versions of the deployed service; of its origin operation where one was found. */
export function cohortPath({ deployment, baseline, candidate, findings }: Report): string | undefined {
  if (!deployment || !baseline.version || !candidate.version) return undefined;
  if (baseline.startTs >= baseline.endTs || candidate.startTs >= candidate.endTs) return undefined;
  const origin = findings.find((finding) => finding.origin.serviceName === deployment.serviceName)?.origin;
  const parameters = new URLSearchParams({
    service: deployment.serviceName,
    ...(origin && { op: origin.spanName }),
    'a.version': baseline.version,
    'b.version': candidate.version,
    'a.from': String(baseline.startTs),
    'a.to': String(baseline.endTs),
    'b.from': String(candidate.startTs),
    'b.to': String(candidate.endTs),
  });
  return `compare?${parameters}`;
}
