/** The report of a deployment: the answer first, then the evidence in seven parts. */
import { useEffect } from 'preact/hooks';

import { getReport } from '../api';
import type { Report } from '../api/schema';
import type { PageProperties } from '../app';
import { useDeploymentNews } from '../deployment-events';
import { formatScore } from '../format';
import { useRequest } from '../request';
import { isGoingOn, standingOf } from '../rollouts';
import { useSettings } from '../settings';
import { Asked } from '../shell/asked';
import { Link } from '../shell/link';
import { Message } from '../shell/message';
import { text as shell } from '../shell/text';
import { AnswerBox } from './answer-box';
import { Head } from './head';
import { Impact } from './impact';
import { deploymentName } from './names';
import { PANELS } from './panel';
import { Proof } from './proof';
import { ScorePanel } from './score-panel';
import { Shape } from './shape';
import { Sure } from './sure';
import { text } from './text';
import { Tour } from './tour';
import { tourStep } from './tour-step';
import { Where } from './where';
import { Why } from './why';
import './report.css';

export default function ReportPage({ route, search }: PageProperties) {
  const id = route.page === 'report' ? route.deploymentId : '';
  return <OneReport key={id} id={id} search={search} />;
}

function OneReport({ id, search }: { id: string; search: string }) {
  const tour = tourStep(search, useSettings());
  const request = useRequest(id, (signal) => getReport(id, signal));
  const { answer: report, error } = request;
  const running = (!!report?.deployment && isGoingOn(report.deployment, Date.now())) || report?.decision === 'wait';
  useDeploymentNews(report?.deployment?.serviceName, running, request.retry);
  useTitle(report);
  if (!report && error?.status === 404) {
    return (
      <main class="page report">
        <h1>{text.heading}</h1>
        <Message title={text.noReport}>
          <p>{text.noReportWhy}</p>
          <p class="links">
            <Link path="deployments">{text.allDeployments}</Link>
          </p>
        </Message>
      </main>
    );
  }
  return (
    <main class="page report" data-tour={tour}>
      {!report && <h1>{text.heading}</h1>}
      <Asked request={request} missing={({ completeness }) => (completeness === 'complete' ? null : completeness)}>
        {(answer) => <Whole report={answer} search={search} tour={tour} />}
      </Asked>
    </main>
  );
}

function Whole({ report, search, tour }: { report: Report; search: string; tour: number | undefined }) {
  return (
    <>
      {tour !== undefined && <Tour report={report} step={tour} />}
      <Head report={report} />
      <AnswerBox report={report} />
      <nav class="report-panels no-print" aria-label={text.answer}>
        {PANELS.map((name, index) => (
          <a key={name} href={`#panel-${name}`} onClick={(event) => showPanel(event, name)}>
            <span class="report-number">{index + 1}</span>
            {text.panels[name]}
          </a>
        ))}
      </nav>
      <Where report={report} search={search} />
      <Why report={report} />
      <Sure report={report} search={search} />
      <Shape report={report} search={search} />
      <Proof report={report} />
      <Impact report={report} />
      <ScorePanel report={report} />
    </>
  );
}

/** The address of a fragment is relative to the page's base, which is another page: so it is gone to by hand. */
function showPanel(event: MouseEvent, name: string): void {
  event.preventDefault();
  const title = document.getElementById(`panel-${name}-title`);
  title?.setAttribute('tabindex', '-1');
  title?.focus({ preventScroll: true });
  title?.scrollIntoView();
}

function useTitle(report: Report | undefined): void {
  useEffect(() => {
    if (!report?.deployment) return;
    const score = report.score == null ? '' : ` ${formatScore(report.score)}`;
    document.title = `${shell.standings[standingOf(report.verdict, report.score)]}${score} · ${deploymentName(report.deployment)} · Tracehound`;
  }, [report]);
}
