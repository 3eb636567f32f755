/** The answer: a chip, a sentence, five facts, and what can be done with it. */
import type { ComponentChildren } from 'preact';

import { reportUrl } from '../api';
import type { Finding, Report } from '../api/schema';
import { formatChange } from '../format';
import { pathOf } from '../location';
import { isGoingOn, MARGINAL_SCORE, PASSING_SCORE, standingOf, waveOf } from '../rollouts';
import { CopyButton } from '../shell/copy-button';
import { Link } from '../shell/link';
import { DecisionChip, VerdictChip } from '../shell/verdict-chip';
import { gateCommand, markdownOf } from './export';
import { formatInterval, formatP, formatShareChange, formatWhole, operationName, unbroken } from './names';
import { Meanwhile } from './meanwhile';
import { OtherDeployment } from './other-deployment';
import { type Answer, answerOf, meanBefore, pointsOf } from './sentence';
import { text } from './text';

export function AnswerBox({ report }: { report: Report }) {
  const running = !!report.deployment && isGoingOn(report.deployment, Date.now());
  const answer = answerOf(report, running);
  return (
    <section class={`report-answer report-tone-${standingOf(report.verdict, report.score)}`} aria-label={text.answer}>
      <p class="report-verdict">
        <VerdictChip verdict={report.verdict} score={report.score} running={running} {...(report.deployment && { wave: waveOf(report.deployment, Date.now()) })} large />
        <span class="muted">{report.score == null ? text.noScore : text.passesAt(PASSING_SCORE, MARGINAL_SCORE)}</span>
      </p>
      <p class="report-lead">{unbroken(answer.lead)}</p>
      {answer.details.length > 0 && <p class="report-details">{unbroken(answer.details.join(' '))}</p>}
      {answer.otherDeploymentId && (
        <p>
          <OtherDeployment id={answer.otherDeploymentId} />
        </p>
      )}
      {answer.unexplained.length > 0 && <Meanwhile report={report} unexplained={answer.unexplained} />}
      <Facts report={report} answer={answer} />
      <Actions report={report} />
    </section>
  );
}

function Facts({ report, answer: { finding, advice } }: { report: Report; answer: Answer }) {
  return (
    <dl class="report-five">
      {finding && (
        <>
          <Fact name={text.facts.origin}>
            <Link path={pathOf('services', finding.origin.serviceName, finding.origin.spanName)}>{operationName(finding.origin)}</Link>
          </Fact>
          <Fact name={text.facts.cause}>
            {text.causes[finding.cause]}
            {finding.callee && <small>{operationName(finding.callee)}</small>}
          </Fact>
          <Fact name={text.facts.effect}>
            <Effect report={report} finding={finding} />
          </Fact>
        </>
      )}
      {finding && (
        <Fact name={text.facts.sure}>
          {text.pValue(formatP(finding.pValue))}
          <small>{text.against(formatWhole(report.baseline.traces), formatWhole(report.candidate.traces))}</small>
        </Fact>
      )}
      <Fact name={text.facts.action}>
        <DecisionChip decision={report.decision} />
        <small>{advice}</small>
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Effect({ report, finding }: { report: Report; finding: Finding }) {
  const { kind, errorRateChange, contribution, contributionLow, contributionHigh, entry } = finding;
  if (kind === 'errors') return <>{text.points(pointsOf(errorRateChange ?? 0))}</>;
  const before = meanBefore(report, entry);
  return (
    <>
      <strong class="numbers">
        {formatChange(contribution)}
        {before ? ` (${formatShareChange(contribution / before)})` : ''}
      </strong>
      <small>{text.onEntry(operationName(entry))}</small>
      <small class="numbers">95 %: {formatInterval(contributionLow, contributionHigh)}</small>
    </>
  );
}

function Actions({ report }: { report: Report }) {
  const { deployment } = report;
  if (!deployment) return null;
  return (
    <p class="report-actions no-print">
      <CopyButton words={() => markdownOf(report, location.href)}>{text.copyMarkdown}</CopyButton>
      <CopyButton words={() => gateCommand(deployment, location.origin)}>{text.copyGate}</CopyButton>
      <a class="button" href={reportUrl(deployment.id)}>
        {text.json}
      </a>
      <button type="button" onClick={() => window.print()}>
        {text.print}
      </button>
    </p>
  );
}
