/** What requests did through the rollout: over time, stage by stage, and after it was taken back. */
import { useMemo } from 'preact/hooks';

import { getLatency, type LatencyQuestion } from '../api/services';
import type { LatencyChart, Operation, Report } from '../api/schema';
import type { Band } from '../chart/bands';
import { ChartFrame } from '../chart/frame';
import { type IntervalTone, Intervals } from '../chart/intervals';
import { TimeChart, type TimeLine } from '../chart/time-chart';
import { formatChange, formatClock, formatDuration, formatShare, formatZone } from '../format';
import { useRequest } from '../request';
import { Asked } from '../shell/asked';
import { formatWhole, operationKey, operationName, short } from './names';
import { mainFinding, pointsOf } from './sentence';
import { doses, type Evidence, evidenceOf, isBeyond, shareOf, type StageFigures, type Stages, stagesOf, valueOf, wavesOf } from './stages';
import { text } from './text';

interface Charts {
  whole: LatencyChart;
  parts: LatencyChart;
  missing: string | null;
}

type Subject = Pick<Operation, 'serviceName'> & Partial<Operation>;

/** The server has no longer names, and refuses to be asked for them. */
const NAME_CHARACTERS_MAX = 256;

const isAskable = ({ serviceName, spanName = '' }: Subject) => Math.max(serviceName.length, spanName.length) <= NAME_CHARACTERS_MAX;

/** Whose requests: the entry operation that changed the most, and the operation of the service that changed. */
function subjectsOf(report: Report): { entry: Subject; origin: Subject; ofErrors: boolean } | undefined {
  const { deployment, change } = report;
  if (!deployment) return undefined;
  const service = { serviceName: deployment.serviceName };
  const finding = mainFinding(report);
  const origin = finding?.origin.serviceName === deployment.serviceName ? finding.origin : service;
  const ofErrors = finding?.kind === 'errors';
  const entry = ofErrors ? origin : (finding?.entry ?? change[0]?.entry ?? service);
  return isAskable(entry) && isAskable(origin) ? { entry, origin, ofErrors } : undefined;
}

export function OverTime({ report }: { report: Report }) {
  const { deployment, candidate } = report;
  const subjects = subjectsOf(report);
  const stages = useMemo(() => deployment && stagesOf(deployment, candidate, Date.now()), [report]);
  const key = deployment && stages && subjects ? `${deployment.id} ${JSON.stringify([subjects, stages.startTs, stages.endTs])}` : null;
  const request = useRequest<Charts>(key, async (signal) => {
    if (!stages || !subjects) throw new Error('nothing to ask about');
    const window = { endTs: String(stages.endTs), lookback: String(stages.endTs - stages.startTs) };
    const [whole, parts] = await Promise.all([
      getLatency({ ...questionOf(subjects.entry), step: stages.step }, window, signal),
      getLatency({ ...questionOf(subjects.origin), step: stages.step, groupBy: 'version' }, window, signal),
    ]);
    return { whole: whole.body, parts: parts.body, missing: whole.missing ?? parts.missing };
  });
  if (!stages || !subjects) return null;
  return (
    <>
      <h3>{text.rollout.title}</h3>
      <Asked request={request} missing={({ missing }) => missing}>
        {(charts) => <Shown report={report} stages={stages} charts={charts} subjects={subjects} />}
      </Asked>
    </>
  );
}

function questionOf({ serviceName, spanName, spanKind }: Subject): LatencyQuestion {
  return { serviceName, ...(spanName && { spanName }), ...(spanKind && { spanKind }) };
}

interface ShownProperties {
  report: Report;
  stages: Stages;
  charts: Charts;
  subjects: NonNullable<ReturnType<typeof subjectsOf>>;
}

function Shown({ report, stages, charts, subjects: { entry, origin, ofErrors } }: ShownProperties) {
  const { deployment, baseline } = report;
  const before = deployment?.previousVersion ?? baseline.version ?? undefined;
  const versions = useMemo(() => [before, deployment?.version ?? ''] as const, [before, deployment]);
  const evidence = useMemo(() => evidenceOf(stages, charts.whole, charts.parts, versions, ofErrors), [stages, charts]);
  if (!evidence.stages.some(({ requests }) => requests > 0)) return <p class="muted">{text.rollout.nothing}</p>;
  const format = ofErrors ? formatShare : formatDuration;
  const change = ofErrors ? (by: number) => text.points(pointsOf(by)) : formatChange;
  return (
    <>
      <ul class="report-facts">
        {factsOf(evidence, change).map((fact) => (
          <li key={fact}>{fact}</li>
        ))}
      </ul>
      <StageChart evidence={evidence} names={{ entry: nameOf(entry), origin: nameOf(origin) }} format={format} change={change} />
      <LinesChart stages={stages} charts={charts} names={{ entry: nameOf(entry), origin: nameOf(origin) }} versions={versions} bands={bandsOf(report)} same={keyOf(entry) === keyOf(origin)} ofErrors={ofErrors} format={format} />
    </>
  );
}

const keyOf = ({ serviceName, spanName = '', spanKind }: Subject) => operationKey({ serviceName, spanName, ...(spanKind != null && { spanKind }) });

const nameOf = ({ serviceName, spanName = '' }: Subject) => operationName({ serviceName, spanName });

/** What the stages say, a sentence each. */
function factsOf({ stages, noise, dose, recovered }: Evidence, change: (by: number) => string): string[] {
  const said = doses(stages).slice(1).map((one) => text.rollout.at(change(one.change), formatShare(one.share)));
  const back = stages.find(({ kind }) => kind === 'rolledBack')?.change;
  return [
    dose && text.rollout.dose[dose](said.join(', ')),
    back !== undefined && recovered !== undefined && (recovered ? text.rollout.recovered : text.rollout.notRecovered)(change(back)),
    noise ? text.rollout.noise(change(noise.low), change(noise.high)) : text.rollout.noNoise,
  ].filter((fact): fact is string => typeof fact === 'string');
}

interface Names {
  entry: string;
  origin: string;
}

interface StageChartProperties {
  evidence: Evidence;
  names: Names;
  format: (value: number) => string;
  change: (by: number) => string;
}

function StageChart({ evidence: { stages, noise }, names, format, change }: StageChartProperties) {
  const now = new Date();
  const shown = stages.filter((stage) => stage.mean !== undefined);
  const value = (stage: StageFigures, at: number | undefined) => (stage.requests > 0 && at !== undefined ? format(at) : '–');
  const shareText = (stage: StageFigures) => {
    const share = shareOf(stage);
    return share === undefined ? '–' : formatShare(share);
  };
  return (
    <ChartFrame
      title={text.rollout.stages(names.entry)}
      summary={text.rollout.stagesSummary(shown.map((stage) => `${stageName(stage)} ${value(stage, stage.mean)}`).join(', '))}
      note={`${text.rollout.stagesNote}${shown.length < stages.length ? ` ${text.rollout.short}` : ''}`}
      table={{
        head: text.rollout.head(names.entry, names.origin),
        rows: stages.map((stage) => [
          stageName(stage),
          `${formatClock(stage.startTs, now)} – ${formatClock(stage.endTs, now)}`,
          shareText(stage),
          formatWhole(stage.requests),
          value(stage, stage.mean),
          stage.change === undefined || stage.kind === 'before' ? '–' : change(stage.change),
          value(stage, stage.old),
          value(stage, stage.new),
        ]),
      }}
    >
      <Intervals
        format={change}
        {...(noise && { noise })}
        rows={shown.map((stage, index) => ({
          key: String(index),
          label: <StageLabel stage={stage} format={format} />,
          value: stage.kind === 'before' ? format(stage.mean ?? 0) : change(stage.change ?? 0),
          tone: toneOf(stage, noise),
          to: stage.change ?? 0,
        }))}
      />
    </ChartFrame>
  );
}

function toneOf({ kind, change = 0 }: StageFigures, noise: Evidence['noise']): IntervalTone {
  if (kind === 'before') return 'total';
  if (!noise || !isBeyond(change, noise)) return 'neutral';
  return change > 0 ? 'worse' : 'better';
}

/** A stage, how much of the service was new, and both versions side by side. */
function StageLabel({ stage, format }: { stage: StageFigures; format: (value: number) => string }) {
  const { share, old: a, new: b, requests } = stage;
  const words = [
    text.rollout.requests(formatWhole(requests)),
    share !== undefined && share > 0 && share < 1 && text.rollout.share(formatShare(share)),
    a !== undefined && b !== undefined && text.rollout.sides(format(a), format(b)),
  ].filter((word) => typeof word === 'string');
  return (
    <>
      {stageName(stage)}
      <small class="muted">{words.join(' · ')}</small>
    </>
  );
}

function stageName({ kind, switched, all, upTo = 0 }: StageFigures): string {
  if (kind === 'share') return text.rollout.upTo(formatShare(upTo));
  if (kind !== 'wave') return text.rollout.kinds[kind];
  return all === undefined ? text.rollout.soFar(switched ?? 0) : text.rollout.wave(switched ?? 0, all);
}

interface LinesProperties {
  stages: Stages;
  charts: Charts;
  names: Names;
  versions: readonly [string | undefined, string];
  bands: readonly Band[];
  /** The entry operation is the one that changed: one line more would say the same. */
  same: boolean;
  ofErrors: boolean;
  format: (value: number) => string;
}

const TOKENS = ['--before', '--after'];

function LinesChart({ stages, charts, names, versions, bands, same, ofErrors, format }: LinesProperties) {
  const value = valueOf(ofErrors);
  const drawn = useMemo(() => {
    const points = charts.whole.series[0]?.points ?? [];
    const lines: TimeLine[] = versions.flatMap((version, index) => {
      const series = charts.parts.series.find((one) => version !== undefined && one.version === version);
      const label = text.rollout.line(names.origin, short(version ?? ''));
      return series && series.points.length === points.length ? [{ label, token: TOKENS[index] ?? '--text', values: series.points.map(value) }] : [];
    });
    const whole: TimeLine = { label: names.entry, token: '--text', dash: [4, 4], values: points.map(value) };
    return { steps: { starts: points.map(({ startTs }) => startTs), step: charts.whole.step }, lines: same && lines.length > 0 ? lines : [...lines, whole] };
  }, [charts]);
  const now = new Date();
  const rows = drawn.steps.starts.map((at, index) => [formatClock(at, now), ...drawn.lines.map(({ values }) => (values[index] == null ? '–' : format(values[index])))]);
  const title = ofErrors ? text.rollout.failures : text.rollout.means;
  return (
    <ChartFrame
      title={title}
      summary={text.rollout.meansSummary(drawn.lines.map(({ label }) => label).join(', '))}
      note={text.rollout.meansNote(`${formatClock(stages.startTs, now)} – ${formatClock(stages.endTs, now)} ${formatZone(now)}`, formatDuration(drawn.steps.step * 1000))}
      interactive
      table={{ head: [text.rollout.when, ...drawn.lines.map(({ label }) => label)], rows }}
    >
      <TimeChart label={title} steps={drawn.steps} lines={drawn.lines} bands={bands} format={format} group="rollout" least={0.01} />
    </ChartFrame>
  );
}

/** Its waves, and when it was taken back. */
function bandsOf({ deployment }: Report): Band[] {
  if (!deployment) return [];
  const { startTs, endTs, instances = [], rolledBackTs, version } = deployment;
  const waves = wavesOf(deployment).map((wave) => ({ startTs: wave.startTs, endTs: wave.endTs, label: text.rollout.band(wave.switched, instances.length), failed: false }));
  const whole = { startTs, endTs: endTs ?? startTs, label: short(version), failed: false };
  const back = rolledBackTs == null ? [] : [{ startTs: rolledBackTs, endTs: rolledBackTs, label: text.rollout.back, failed: false }];
  return [...(waves.length > 0 ? waves : [whole]), ...back];
}
