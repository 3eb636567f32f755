/**
 * The answer of a report in words: what happened, to whom, why, how much, how sure, what to do. Everything else on the
 * page is the evidence for it.
 */
import type { EntryChange, Finding, Report } from '../api/schema';
import { formatDuration, formatShare } from '../format';
import { formatShareChange, operationKey, operationName, deploymentName, short, formatWhole } from './names';
import { sentence, text } from './text';

export interface Answer {
  /** One sentence, the largest of the page. */
  lead: string;
  /** What has to be known besides, a sentence each. */
  details: string[];
  /** What to do. */
  advice: string;
  /** The finding that the sentence is about. */
  finding?: Finding;
  /** The deployment that did it, where it was another one. */
  otherDeploymentId?: string;
  /** Entry operations that changed without anything that this deployment did. */
  unexplained: EntryChange[];
}

/** Less than this share of the mean, and less than a millisecond, is not worth to be asked about. */
const UNEXPLAINED_MIN = 0.05;
const UNEXPLAINED_MIN_MICROS = 1000;

/** What is said of a report. `running` tells that more data will come. */
export function answerOf(report: Report, running: boolean): Answer {
  const { deployment, findings, verdict } = report;
  const who = deployment ? deploymentName(deployment) : '';
  const guilty = findings.filter(({ causedByDeployment }) => causedByDeployment);
  const finding = mainFinding(report);
  const unexplained = guilty.length > 0 ? [] : report.change.filter((change) => isUnexplained(report, change));
  const base = { advice: adviceOf(report), unexplained, ...(finding && { finding }) };
  const power = powerSentences(report, running);
  if (finding?.causedByDeployment && (verdict === 'regressed' || verdict === 'improved')) {
    return { ...base, lead: ledBy(report, finding, who), details: [...meanSentences(report, finding), ...moreFindings(guilty.length)] };
  }
  const details = [...unexplained.slice(0, 1).map(unexplainedSentence), ...power];
  if (verdict === 'insufficient_data') {
    return { ...base, lead: insufficientLead(report, who, running), details: [...(report.missing ? [`${report.missing}.`] : []), ...power] };
  }
  if (finding && !finding.causedByDeployment) {
    const origin = operationName(finding.origin);
    const because = finding.explanation ? [text.because[finding.explanation](finding.instance ?? '')] : [];
    return {
      ...base,
      lead: sentence.unchangedBut(who, causeWords(finding, origin)),
      details: [...because, ...moreFindings(findings.length), ...details],
      ...(finding.deploymentId && { otherDeploymentId: finding.deploymentId }),
    };
  }
  return { ...base, lead: sentence.unchanged(who), details };
}

/** The worst that the deployment caused, else the worst that it did not. */
export function mainFinding({ findings, verdict }: Report): Finding | undefined {
  const guilty = findings.filter(({ causedByDeployment }) => causedByDeployment);
  if (verdict === 'improved') return guilty[0] ?? findings[0];
  return guilty.find(isWorse) ?? guilty[0] ?? findings[0];
}

/** Whether a finding is for the worse. */
export function isWorse(finding: Finding): boolean {
  return finding.kind === 'errors' ? (finding.errorRateChange ?? 0) >= 0 : finding.contribution >= 0;
}

/** Why, in words that follow "because". */
export function causeWords(finding: Finding, origin = operationName(finding.origin)): string {
  const callee = finding.callee ? operationName(finding.callee) : '';
  return (isWorse(finding) ? text.worse : text.better)[finding.cause](origin, callee);
}

function ledBy(report: Report, finding: Finding, who: string): string {
  const by = formatDuration(Math.abs(finding.contribution));
  if (finding.kind === 'errors') {
    const points = text.points(pointsOf(finding.errorRateChange ?? 0));
    return (isWorse(finding) ? sentence.failing : sentence.failingLess)(who, operationName(finding.origin), points);
  }
  const before = meanBefore(report, finding.entry);
  const share = before ? sentence.byShare(formatShareChange(finding.contribution / before)) : '';
  const say = isWorse(finding) ? sentence.slower : sentence.faster;
  return say(who, operationName(finding.entry), by, share, causeWords(finding));
}

/** A change of a share of requests, in percentage points: `+3.2`. */
export function pointsOf(change: number): string {
  const size = Math.abs(change * 100).toLocaleString('en', { maximumSignificantDigits: 2 });
  return change < 0 ? `−${size}` : `+${size}`;
}

/** The mean of an entry operation as it was, microseconds; `undefined` where the report has no room for it. */
export function meanBefore(report: Report, entry: Finding['entry']): number | undefined {
  return sidesOf(report, entry)?.baseline.mean || undefined;
}

/** Both sides of an operation. */
export function sidesOf(report: Report, operation: Finding['entry']): Report['operations'][number] | undefined {
  const key = operationKey(operation);
  return report.operations.find((candidate) => operationKey(candidate) === key);
}

function meanSentences(report: Report, finding: Finding): string[] {
  const sides = sidesOf(report, finding.entry);
  if (!sides || finding.kind === 'errors') return [];
  const { baseline, candidate } = sides;
  return [sentence.meanOf(operationName(finding.entry), formatDuration(baseline.mean), formatDuration(candidate.mean))];
}

function moreFindings(count: number): string[] {
  return count > 1 ? [sentence.more(count - 1)] : [];
}

function isUnexplained(report: Report, change: EntryChange): boolean {
  const before = meanBefore(report, change.entry);
  if (before === undefined) return false;
  return Math.abs(change.remainder) >= Math.max(UNEXPLAINED_MIN_MICROS, UNEXPLAINED_MIN * before);
}

function unexplainedSentence(change: EntryChange): string {
  const size = formatDuration(Math.abs(change.remainder));
  return sentence.unexplained(operationName(change.entry), change.remainder < 0 ? `−${size}` : `+${size}`);
}

function insufficientLead(report: Report, who: string, running: boolean): string {
  const { deployment, baseline } = report;
  if (deployment && !deployment.previousVersion && !baseline.version) return sentence.firstVersion(who);
  return running || report.decision === 'wait' ? sentence.notYet(who) : sentence.never(who);
}

function powerSentences({ power, verdict, candidate, missing: told }: Report, running: boolean): string[] {
  if (verdict === 'unchanged') {
    const smallest = power?.smallestRelative;
    return smallest != null ? [sentence.wouldHaveShown(formatShare(smallest))] : [];
  }
  const missing = power?.requestsMissing ?? 0;
  if (missing === 0) return [];
  const seconds = (candidate.endTs - candidate.startTs) / 1000;
  const rate = seconds > 0 ? candidate.traces / seconds : 0;
  const eta = running && rate > 0 ? [sentence.eta(formatDuration((missing / rate) * 1_000_000))] : [];
  // The server's own sentence says how many already.
  return [...(told ? [] : [sentence.requestsMissing(formatWhole(missing))]), ...eta];
}

function adviceOf({ deployment, decision, baseline, candidate }: Report): string {
  const service = short(deployment?.serviceName ?? '');
  const previous = deployment?.previousVersion ?? baseline.version ?? undefined;
  if (!deployment || candidate.version === previous) return text.decisions[decision](service, undefined);
  return text.decisions[decision](service, previous && short(previous));
}
