/** A report for elsewhere: Markdown for a ticket, and the command that asks the gate. */
import type { Deployment, Report } from '../api/schema';
import { formatChange, formatScore } from '../format';
import { isGoingOn, standingOf } from '../rollouts';
import { text as shell } from '../shell/text';
import { deploymentName, formatInterval, operationName } from './names';
import { answerOf } from './sentence';
import { text } from './text';

/** What Markdown would take for its own. */
function escaped(words: string): string {
  return words.replaceAll(/[\\`*_[\]<>|#~]/g, '\\$&').replaceAll(/\s+/g, ' ');
}

/** The answer, the findings and where the time went, with a link to `address`. */
export function markdownOf(report: Report, address: string): string {
  const answer = answerOf(report, !!report.deployment && isGoingOn(report.deployment, Date.now()));
  const title = report.deployment ? `${deploymentName(report.deployment)}: ` : '';
  const score = report.score == null ? '' : ` ${formatScore(report.score)}/100`;
  const lines = [`## ${escaped(title)}${shell.standings[standingOf(report.verdict, report.score)]}${score}`, '', `**${escaped(answer.lead)}**`];
  for (const detail of answer.details) lines.push('', escaped(detail));
  lines.push('', `${shell.decisions[report.decision]}: ${escaped(answer.advice)}`);
  if (report.findings.length > 0) {
    const [cause, origin, change, interval, whose] = text.why.head;
    lines.push('', `| ${cause} | ${origin} | ${change} | ${interval} | ${whose} |`, '| --- | --- | ---: | --- | --- |');
    for (const finding of report.findings.slice(0, 20)) {
      const whom = finding.causedByDeployment ? text.why.byDeployment : finding.explanation ? text.explanations[finding.explanation] : '';
      const cells = [
        text.causes[finding.cause],
        escaped(operationName(finding.origin)),
        formatChange(finding.contribution),
        formatInterval(finding.contributionLow, finding.contributionHigh),
        whom,
      ];
      lines.push(`| ${cells.join(' | ')} |`);
    }
  }
  lines.push('', address, '');
  return lines.join('\n');
}

/** The command a pipeline asks with, for the server that the page is from. */
export function gateCommand({ serviceName, version, environment }: Deployment, origin: string): string {
  const words = ['tracehound', 'gate', '--service', serviceName, '--version', version];
  if (environment) words.push('--environment', environment);
  words.push('--server', origin);
  return words.map(quoted).join(' ');
}

/** A word of a shell command. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
