/** The words of the report of a deployment. */
import type { Cause, Decision, Design, Explanation } from '../api/schema';

/** What a cause is called in a list. */
const causes: Record<Cause, string> = {
  self_time: 'Self time',
  more_calls: 'More calls',
  serialized_calls: 'Calls one after the other',
  new_call: 'New call',
  retries: 'Retries',
  slower_callee: 'Heavier requests',
  queueing: 'Waiting',
  errors: 'Errors',
};

/** Why it became worse: follows "because". */
const worse: Record<Cause, (origin: string, callee: string) => string> = {
  self_time: (origin) => `${origin} takes longer itself`,
  more_calls: (origin, callee) => `${origin} calls ${callee} more often`,
  serialized_calls: (origin) => `${origin} makes calls one after the other that it made side by side`,
  new_call: (origin, callee) => `${origin} calls ${callee}, which it did not before`,
  retries: (origin, callee) => `${origin} calls ${callee} again after failures`,
  slower_callee: (origin, callee) => `${origin} asks ${callee} for something that takes longer`,
  queueing: (origin, callee) =>
    callee === '' ? `requests wait before ${origin} begins` : `calls of ${origin} wait before ${callee} begins`,
  errors: (origin) => `${origin} fails more often`,
};

/** Why it became better. */
const better: Record<Cause, (origin: string, callee: string) => string> = {
  self_time: (origin) => `${origin} takes less time itself`,
  more_calls: (origin, callee) => `${origin} calls ${callee} less often`,
  serialized_calls: (origin) => `${origin} makes calls side by side that it made one after the other`,
  new_call: (origin, callee) => `${origin} no longer calls ${callee}`,
  retries: (origin, callee) => `${origin} calls ${callee} less often again after failures`,
  slower_callee: (origin, callee) => `${origin} asks ${callee} for something that takes less time`,
  queueing: (origin, callee) =>
    callee === '' ? `requests wait less before ${origin} begins` : `calls of ${origin} wait less before ${callee} begins`,
  errors: (origin) => `${origin} fails less often`,
};

/** What did it where the deployment did not. */
const explanations: Record<Explanation, string> = {
  load: 'More requests',
  mix_shift: 'Other requests',
  other_deployment: 'Another deployment',
  callee_degraded: 'A callee slow for everybody',
  bad_instance: 'One bad instance',
  warm_up: 'Warm-up',
  transient: 'Passing',
  confounded: 'Cannot be told',
};

const because: Record<Explanation, (instance: string) => string> = {
  load: () => 'More requests explain it: the version before slows down under as many.',
  mix_shift: () => 'Other requests explain it: for the same requests nothing changed.',
  other_deployment: () => 'Another deployment explains it.',
  callee_degraded: () => 'What it calls is as slow for callers that were not deployed.',
  bad_instance: (instance) => `Only the instance ${instance} shows it: replace that one.`,
  warm_up: () => 'Only instances that are not warm yet show it. It passes.',
  transient: () => 'It went away by itself.',
  confounded: () => 'It cannot be told from something else that changed at the same time.',
};

const decisions: Record<Decision, (service: string, version: string | undefined) => string> = {
  rollback: (service, version) => (version ? `Roll back ${service} to ${version}.` : `Roll back ${service}.`),
  continue: () => 'Go on. Nothing has to be done.',
  wait: () => 'Wait: more data will come, and this page will say so.',
};

const designs: Record<Design, string> = {
  concurrent: 'both versions in the same minutes',
  before_after: 'the version before the rollout against the new one after it',
};

const groups: Record<string, string> = {
  latency: 'Latency',
  errors: 'Errors',
  structure: 'Structure',
  entries: 'Entry operations',
};

/** Sentences of the answer. */
export const sentence = {
  slower: (who: string, entry: string, by: string, share: string, why: string) =>
    `${who} made ${entry} ${by} slower${share}, because ${why}.`,
  faster: (who: string, entry: string, by: string, share: string, why: string) =>
    `${who} made ${entry} ${by} faster${share}, because ${why}.`,
  failing: (who: string, origin: string, by: string) => `${who} made ${origin} fail more often: ${by} of its requests.`,
  failingLess: (who: string, origin: string, by: string) => `${who} made ${origin} fail less often: ${by} of its requests.`,
  byShare: (share: string) => ` (${share})`,
  unchanged: (who: string) => `${who} made nothing slower, and nothing fail more often.`,
  unchangedBut: (who: string, what: string) => `${who} did not do this: ${what}.`,
  notYet: (who: string) => `It cannot be said yet what ${who} changed.`,
  never: (who: string) => `What ${who} changed cannot be said from the requests that were seen.`,
  firstVersion: (who: string) => `${who} has nothing to be compared with: no earlier version was seen.`,
  more: (count: number) => (count === 1 ? 'Another finding is below.' : `${count} more findings are below.`),
  meanOf: (entry: string, before: string, after: string) => `The mean of ${entry} went from ${before} to ${after}.`,
  unexplained: (entry: string, by: string) =>
    `${entry} changed by ${by} in the same time, but nothing that this deployment changed explains it.`,
  wouldHaveShown: (share: string) => `A change of ${share} or more would have been seen.`,
  requestsMissing: (count: string) => `At least ${count} more requests a side are needed.`,
  eta: (duration: string) => `At the rate so far that takes about ${duration}.`,
};

export const text = {
  causes,
  worse,
  better,
  explanations,
  because,
  decisions,
  designs,
  groups,
  heading: 'Report of a deployment',
  noReport: 'There is no such deployment',
  noReportWhy: 'It may have been deleted, or be one of another server.',
  allDeployments: 'All deployments',
  deployments: 'Deployments',
  passesAt: (pass: number, marginal: number) => `pass ≥ ${pass} · marginal ≥ ${marginal}`,
  noScore: 'no score: too many checks have no data',
  rollback: 'This deployment is itself a return to an earlier version.',
  rolledBack: (when: string) => `Rolled back at ${when}.`,
  superseded: 'Superseded by',
  running: 'The rollout is going on. What is said here changes as requests come.',
  inferred: 'inferred from spans',
  declared: 'declared',
  instances: (count: number) => (count === 1 ? '1 instance' : `${count} instances`),
  strategies: { rolling: 'rolling', canary: 'canary', blue_green: 'blue/green', recreate: 'recreate' } as Record<string, string>,
  since: (from: string) => `since ${from}`,
  fromTo: (from: string, to: string, took: string) => `${from} – ${to} (${took})`,
  facts: { origin: 'Origin', cause: 'Cause', effect: 'Effect', sure: 'How sure', action: 'What to do' },
  answer: 'The answer',
  onEntry: (entry: string) => `on ${entry}`,
  interval: (low: string, high: string) => `95 % interval ${low} to ${high}`,
  pValue: (value: string) => `p ${value}`,
  against: (baseline: string, candidate: string) => `${baseline} requests before, ${candidate} after`,
  points: (value: string) => `${value} percentage points`,
  copyMarkdown: 'Copy as Markdown',
  copyGate: 'Copy gate command',
  json: 'JSON',
  print: 'Print',
  panels: {
    where: 'Where',
    why: 'Why',
    sure: 'How sure',
    shape: 'Shape',
    proof: 'Proof',
    impact: 'Impact',
    score: 'Score',
  },
  panelTitles: {
    where: 'Where the time went',
    why: 'Why it changed',
    sure: 'How sure this is',
    shape: 'What durations look like',
    proof: 'Traces that show it',
    impact: 'Who suffers from it',
    score: 'How the score came about',
  },
  entry: 'Entry operation',
  operation: 'Operation',
  where: {
    chart: 'Change of the mean',
    summary: (entry: string, total: string, parts: string) => `${entry} changed by ${total}: ${parts}.`,
    total: 'Whole change',
    remainder: 'Not explained',
    mixShift: 'Other mix of requests',
    otherFindings: 'Other findings',
    head: ['Part', 'Change', '95 % interval'],
    note: (baseline: string, candidate: string, before: string) =>
      `Means of ${baseline} requests before and ${candidate} after${before}. The parts add up to the whole exactly.`,
    was: (before: string, after: string) => `; ${before} before, ${after} after`,
    nothing: 'No entry operation was answered by both sides, so nothing can be split up.',
  },
  why: {
    chart: 'Change by cause',
    summary: (count: number) =>
      count === 0 ? 'No cause was found.' : count === 1 ? 'One cause was found.' : `${count} causes were found.`,
    head: ['Cause', 'Origin', 'Change', '95 % interval', 'Whose'],
    notFound: (names: string) => `Looked for and not found: ${names}.`,
    byDeployment: 'This deployment',
    betweenGroups: 'Between A and B',
    more: (count: number) => `${count} more findings are in the JSON.`,
    nothing: 'No operation of the service changed by itself.',
  },
  sure: {
    chart: 'Change of each operation',
    summary: (changed: number, all: number) =>
      `${changed} of ${all} operations have durations that surely and considerably moved.`,
    head: ['Operation', 'Change', '95 % interval', 'Of the mean', 'p', 'Class'],
    absolute: 'Time',
    relative: 'Share',
    unit: 'Show as',
    note: (design: string) => `Compared: ${design}. Dot: estimate. Line: 95 % interval. An operation that waits for another one moves with it.`,
    confidence: (share: string) => `The verdict is ${share} sure.`,
    power: (share: string) => `A change of ${share} or more would have been seen with 95 % power.`,
    missing: (count: string) => `${count} more requests a side are missing for the size that matters.`,
    shown: (count: number, all: number) => `The ${count} that moved most, of ${all}.`,
    nothing: 'No operation has enough requests on both sides for an interval.',
    leftOut: 'Left out of the comparison',
    leftOutNothing: 'Nothing was left out.',
    leftOutNames: {
      bothVersions: 'served by both versions',
      unknownVersion: 'of an unknown version',
      warmUp: 'of instances that were not warm',
      notSampled: 'beyond the sample',
      notComparable: 'without a counterpart',
    },
    traces: (count: string) => `${count} traces`,
    cut: (time: string) => `${time} of reported time could not be true`,
    classes: { high: 'slower', low: 'faster', pass: 'same', nodata: 'no data' } as Record<string, string>,
  },
  shape: {
    ecdf: 'Share of requests at most so long',
    histogram: 'How often each duration is',
    ecdfSummary: (share: string, before: string, after: string) => `${share} of requests took at most ${before} before, and ${after} after.`,
    histogramSummary: (before: string, after: string) => `The middle went from ${before} to ${after}.`,
    head: ['Share of requests', 'Before', 'After'],
    histogramHead: ['Up to', 'Before', 'After'],
    before: (version: string | undefined) => (version ? `Before (${version})` : 'Before'),
    after: (version: string | undefined) => (version ? `After (${version})` : 'After'),
    note: (baseline: string, candidate: string) => `${baseline} spans before, ${candidate} after. Durations on a logarithmic scale.`,
    quantiles: 'Percentiles',
    quantileHead: ['Percentile', 'Before', 'After', 'Change'],
    mean: 'mean',
    nothing: 'No operation has durations on both sides.',
  },
  proof: {
    intro: 'The same call, before and after, from different requests that show the finding.',
    head: ['Finding', 'Before', 'After', ''],
    compare: 'Compare the two',
    cohort: 'Compare all traces of both versions',
    nothing: 'No finding has traces to show.',
    pair: (index: number) => `Pair ${index}`,
  },
  impact: {
    victims: 'Entry operations that suffer',
    victimsHead: ['Entry operation', 'Change of the mean', 'Of what it was', 'Because of'],
    noVictims: 'No entry operation suffers from a finding.',
    budget: 'Error budgets of the service',
    sloHead: ['Objective', 'Promised', 'Budget left', 'Spent by this deployment', 'Burn rate, last hour'],
    noSlo: 'The service has no objective.',
    fastBurn: 'burns fast',
    unknown: 'not enough requests',
    times: (rate: string) => `${rate}×`,
  },
  score: {
    sum: (score: string, threshold: number, margin: string) => `${score} of 100. It passes at ${threshold}: ${margin}.`,
    above: (points: string) => `${points} above`,
    below: (points: string) => `${points} below`,
    critical: (names: string) => `A critical check failed and sets the score to 0: ${names}.`,
    mean: (mean: string) => `The weighted mean of the grades is ${mean} of 100.`,
    bound: (most: string, check: string, grade: string) =>
      `What was made worse does not pass: the score is at most 89 times the worst grade that users felt, ${grade} of ${check}. That is ${most}.`,
    boundWithout: (most: string) => `What was made worse does not pass: the score is at most ${most}.`,
    arithmetic: 'Each check has a weight of 100 and a grade of 0 to 1; the score is the weighted mean of those that have data.',
    kayenta: (score: string) => `Counted as Kayenta does, each check passed or not: ${score}.`,
    head: ['Check', 'Weight', 'Grade', 'Points', 'Found'],
    cost: (points: string) => `−${points} points`,
    noData: 'no data',
    noDataNote: 'A check without data is no pass: the others carry its weight.',
    passing: (count: number) => (count === 1 ? '1 check with the full grade' : `${count} checks with the full grade`),
    bar: 'Points by group',
    barSummary: (parts: string) => `Points got of points possible: ${parts}.`,
    barHead: ['Group', 'Weight', 'Points'],
    group: (name: string, got: string, of: string) => `${name} ${got} of ${of}`,
    toPass: (names: string) => `What costs the most: ${names}.`,
    omitted: (count: number) => `${count} more checks count, but are not listed.`,
    noScore: 'There is no score: checks of half of the weight or more have no data.',
    nothing: 'Nothing was checked.',
  },
  meanwhile: 'What was deployed meanwhile and changed it',
  metadata: 'About this deployment',
};
