/** Two groups of traces: what they are, in words and to be changed; what differs; and the evidence, as in a report. */
import { getComparison, getTraceDiff, getTraceSummaries } from '../api';
import type { Report, TraceDiff } from '../api/schema';
import { formatShare } from '../format';
import { Link } from '../shell/link';
import { pairPath } from '../report/links';
import { causeWords, isWorse } from '../report/sentence';
import { Proof } from '../report/proof';
import { Shape } from '../report/shape';
import { Where } from '../report/where';
import { Why } from '../report/why';
import { useRequest } from '../request';
import { Asked } from '../shell/asked';
import { Message } from '../shell/message';
import { ChangeChip } from '../shell/verdict-chip';
import { CohortForm, CohortWords } from './cohort-form';
import { CohortTable } from './cohort-table';
import { type Cohort, type Cohorts, cohortsOf, searchOf, VERSION_TAGS } from './cohorts';
import { text } from './text';
import '../report/report.css';

/** With fewer traces on a side nothing is concluded: `ANALYSIS_MIN_TRACES` as it is without being set. */
const TRACES_MIN = 30;

/** Above this share of traces without a counterpart a warning is due. */
const UNMATCHED_MAX = 0.3;

export function CohortPage({ search }: { search: string }) {
  const asked = cohortsOf(search);
  const needsTag = asked.tag === '' && (asked.a.version !== '' || asked.b.version !== '');
  const key = JSON.stringify(asked);
  const tag = useRequest(needsTag && asked.a.service !== '' ? key : null, (signal) => tagOf(asked, signal));
  const cohorts: Cohorts = needsTag ? { ...asked, tag: tag.answer ?? '' } : asked;
  const ready = asked.a.service !== '' && (!needsTag || !!tag.answer);
  const request = useRequest(ready ? JSON.stringify(cohorts) : null, (signal) =>
    getComparison(searchOf(cohorts.a, cohorts.tag), searchOf(cohorts.b, cohorts.tag), signal),
  );
  if (asked.a.service === '') {
    return (
      <>
        <CohortForm cohorts={cohorts} open />
        <Message title={text.noService}>
          <p>{text.noServiceWhy}</p>
          <p>
            <Link path="compare">{text.pairWay}</Link>
          </p>
        </Message>
      </>
    );
  }
  return (
    <>
      <CohortWords cohorts={cohorts} report={request.answer} />
      <CohortForm key={key} cohorts={cohorts} open={needsTag && tag.answer === null} />
      {needsTag && tag.loading && tag.slow && <p class="muted">{text.looking}</p>}
      {needsTag && tag.answer === null && <Message title={text.missing}>{text.noTag}</Message>}
      {ready && (
        <Asked request={request} missing={({ completeness }) => (completeness === 'complete' ? null : completeness)}>
          {(report) => <Compared report={report} serviceName={asked.a.service} search={search} />}
        </Asked>
      )}
    </>
  );
}

/** The tag in which a version of either side stands; `null` where it stands in none. */
async function tagOf({ a, b }: Cohorts, signal: AbortSignal): Promise<string | null> {
  const bears = async (cohort: Cohort, tag: string) => {
    if (cohort.version === '') return false;
    const parameters = searchOf({ ...cohort, operation: '', tags: '' }, tag);
    parameters.set('limit', '1');
    return (await getTraceSummaries(parameters, signal)).traces.length > 0;
  };
  for (const tag of VERSION_TAGS) {
    if ((await bears(b, tag)) || (await bears(a, tag))) return tag;
  }
  return null;
}

function Compared({ report, serviceName, search }: { report: Report; serviceName: string; search: string }) {
  const exemplars = report.findings.find(({ exemplars: { baseline, candidate } }) => baseline[0] && candidate[0])?.exemplars;
  const [a, b] = [exemplars?.baseline[0], exemplars?.candidate[0]];
  const pair = useRequest<TraceDiff>(a && b ? `${a} ${b}` : null, (signal) => getTraceDiff(a ?? '', b ?? '', signal));
  return (
    <>
      <Sentence report={report} serviceName={serviceName} />
      <CohortTable report={report} pair={pair.answer} pairPath={a && b ? pairPath(a, b) : undefined} search={search} />
      <Where report={report} search={search} />
      <Why report={report} />
      <Shape report={report} search={search} />
      <Proof report={report} />
    </>
  );
}

function Sentence({ report, serviceName }: { report: Report; serviceName: string }) {
  const { verdict, baseline, candidate, findings, leftOut } = report;
  const few = Math.min(baseline.traces, candidate.traces) < TRACES_MIN;
  const all = baseline.traces + candidate.traces + leftOut.notComparable;
  const unmatched = all === 0 ? 0 : leftOut.notComparable / all;
  // What the service does that was asked about says more than what others wait for.
  const own = findings.filter(({ origin }) => origin.serviceName === serviceName);
  const finding = own.find(isWorse) ?? findings.find(isWorse) ?? findings[0];
  return (
    <section class="compare-answer">
      <p>
        <ChangeChip verdict={verdict} />
      </p>
      <p class="compare-lead">
        {text.verdicts[verdict]} {finding && `${capital(causeWords(finding))}.`}
      </p>
      {report.missing && <p>{report.missing}.</p>}
      {few && <p class="note">{text.few(TRACES_MIN)}</p>}
      {unmatched > UNMATCHED_MAX && <p class="note">{text.different(formatShare(unmatched))}</p>}
    </section>
  );
}

/** Service names keep their case: only words of ours begin a sentence with a capital. */
function capital(words: string): string {
  return words.replace(/^(requests|calls) /, (word) => word.charAt(0).toUpperCase() + word.slice(1));
}
