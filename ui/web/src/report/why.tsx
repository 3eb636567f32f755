/** Why it changed: every cause that was found, with its interval, and those that were looked for and not found. */
import type { Cause, Finding, Report } from '../api/schema';
import { ChartFrame } from '../chart/frame';
import { Intervals } from '../chart/intervals';
import { formatChange } from '../format';
import { formatInterval, formatP, operationName } from './names';
import { OtherDeployment } from './other-deployment';
import { Panel } from './panel';
import { isWorse, pointsOf } from './sentence';
import { text } from './text';

/** More findings than this are told in the JSON. */
const FINDINGS_MAX = 30;

export function Why({ report }: { report: Report }) {
  const findings = report.findings.slice(0, FINDINGS_MAX);
  const timed = findings.filter(({ kind, contribution }) => kind !== 'errors' && contribution !== 0);
  const found = new Set(findings.map(({ cause }) => cause));
  const missing = (Object.keys(text.causes) as Cause[]).filter((cause) => !found.has(cause)).map((cause) => text.causes[cause]);
  const left = report.findings.length - findings.length + (report.omitted?.findings ?? 0);
  return (
    <Panel name="why">
      {findings.length === 0 && <p>{text.why.nothing}</p>}
      <ol class="report-findings">
        {findings.map((finding, index) => (
          <FindingItem key={index} finding={finding} whom={whose(finding, report.deployment)} />
        ))}
      </ol>
      {timed.length > 0 && (
        <ChartFrame
          title={text.why.chart}
          summary={text.why.summary(timed.length)}
          table={{
            head: text.why.head,
            rows: timed.map((finding) => [
              text.causes[finding.cause],
              operationName(finding.origin),
              formatChange(finding.contribution),
              formatInterval(finding.contributionLow, finding.contributionHigh),
              whose(finding, report.deployment),
            ]),
          }}
        >
          <Intervals
            format={formatChange}
            rows={timed.map((finding, index) => ({
              key: String(index),
              label: `${text.causes[finding.cause]} · ${operationName(finding.origin)}`,
              value: formatChange(finding.contribution),
              tone: finding.causedByDeployment ? (isWorse(finding) ? 'worse' : 'better') : 'neutral',
              to: finding.contribution,
              low: finding.contributionLow,
              high: finding.contributionHigh,
            }))}
          />
        </ChartFrame>
      )}
      {left > 0 && <p class="muted">{text.why.more(left)}</p>}
      {missing.length > 0 && <p class="muted">{text.why.notFound(missing.join(', ').toLowerCase())}</p>}
    </Panel>
  );
}

function whose(finding: Finding, of: Report['deployment']): string {
  if (finding.causedByDeployment) return of ? text.why.byDeployment : text.why.betweenGroups;
  return finding.explanation ? text.explanations[finding.explanation] : '–';
}

function FindingItem({ finding, whom }: { finding: Finding; whom: string }) {
  const { causedByDeployment, explanation, deploymentId, instance, pValue, kind, errorRateChange } = finding;
  return (
    <li class={causedByDeployment ? 'caused' : ''}>
      <p>
        <strong>{text.causes[finding.cause]}</strong> · {whom}
      </p>
      <p class="report-summary">{finding.summary}</p>
      <p class="muted numbers">
        {kind === 'errors' && errorRateChange != null && `${text.points(pointsOf(errorRateChange))} · `}
        {kind !== 'errors' && `${formatChange(finding.contribution)} ${text.onEntry(operationName(finding.entry))} · ${text.interval(formatChange(finding.contributionLow), formatChange(finding.contributionHigh))} · `}
        {text.pValue(formatP(pValue))}
      </p>
      {!causedByDeployment && explanation && (
        <p>
          {text.because[explanation](instance ?? '')} {deploymentId && <OtherDeployment id={deploymentId} />}
        </p>
      )}
    </li>
  );
}
