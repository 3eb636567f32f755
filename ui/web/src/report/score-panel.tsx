/** How the score came about: every check with its weight, its grade and what it costs. */
import type { Report } from '../api/schema';
import { ChartFrame } from '../chart/frame';
import { digits, formatScore } from '../format';
import { PASSING_SCORE } from '../rollouts';
import { TableBox } from '../shell/table-box';
import { short } from './names';
import { Panel } from './panel';
import { boundOf, costOf, failedCritical, type Scored, scoredChecks, type ScoredGroup, scoredGroups, sumOf } from './score';
import { text } from './text';

/** What rounding can make of a score: reports that are kept were made by the rules of their time, and are not explained by others. */
const ROUNDED = 0.05;

/** Points that are too few to be told from none. */
const NONE = 0.005;

export function ScorePanel({ report }: { report: Report }) {
  const { checks, score, kayentaScore, omitted } = report;
  const scored = scoredChecks(checks);
  const failing = scored.filter((one) => costOf(one) > NONE || one.check.critical);
  const others = scored.filter((one) => !failing.includes(one));
  const critical = failedCritical(checks).map(({ name }) => short(name));
  return (
    <Panel name="score">
      {score == null ? <p>{text.score.noScore}</p> : <p class="report-sum">{sumSentence(score)}</p>}
      <Bounded report={report} mean={sumOf(scored)} />
      {critical.length > 0 && <p class="error-note">{text.score.critical(critical.join(', '))}</p>}
      {failing.length > 0 && <p>{text.score.toPass(failing.slice(0, 3).map((one) => `${short(one.check.name)} (${text.score.cost(points(costOf(one)))})`).join(', '))}</p>}
      {checks.length === 0 ? <p class="muted">{text.score.nothing}</p> : <GroupBar groups={scoredGroups(checks)} />}
      {failing.length > 0 && <Checks label={text.panelTitles.score} checks={failing} />}
      {others.length > 0 && (
        <details class="report-passing">
          <summary>{text.score.passing(others.length)}</summary>
          <Checks label={text.score.passing(others.length)} checks={others} />
        </details>
      )}
      <p class="muted">
        {text.score.arithmetic} {scored.some(({ points: got }) => got === undefined) && text.score.noDataNote}{' '}
        {(omitted?.checks ?? 0) > 0 && text.score.omitted(omitted?.checks ?? 0)}{' '}
        {kayentaScore != null && text.score.kayenta(formatScore(kayentaScore))}
      </p>
    </Panel>
  );
}

/** Why the score is below the weighted mean; nothing where it is not, or where the rest of the checks is not told. */
function Bounded({ report: { checks, score, omitted }, mean }: { report: Report; mean: number }) {
  const bound = boundOf(checks);
  if (score == null || !bound || bound.most >= mean || (omitted?.checks ?? 0) > 0) return null;
  const { most, by } = bound;
  if (Math.abs(score - most) > ROUNDED) return null;
  return (
    <p>
      {text.score.mean(points(mean))}{' '}
      {by ? text.score.bound(points(most), short(by.name), digits(by.grade ?? 1)) : text.score.boundWithout(points(most))}
    </p>
  );
}

function points(value: number): string {
  return value.toLocaleString('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

function sumSentence(score: number): string {
  const margin = score - PASSING_SCORE;
  const words = margin >= 0 ? text.score.above(points(margin)) : text.score.below(points(-margin));
  return text.score.sum((Math.floor(score * 10) / 10).toLocaleString('en'), PASSING_SCORE, words);
}

/** Widths are weights; what is filled was got. */
function GroupBar({ groups }: { groups: ScoredGroup[] }) {
  const known = groups.filter(({ possible }) => possible > 0);
  const nameOf = (group: string) => text.groups[group] ?? short(group);
  const parts = known.map(({ group, points: got, possible }) => text.score.group(nameOf(group), points(got), points(possible)));
  return (
    <ChartFrame
      title={text.score.bar}
      summary={text.score.barSummary(parts.join(', '))}
      table={{ head: text.score.barHead, rows: groups.map(({ group, points: got, possible }) => [nameOf(group), points(possible), points(got)]) }}
    >
      <div class="report-score-groups">
        {known.map(({ group, points: got, possible }, index) => (
          <div key={group} class="report-score-group" style={{ flexGrow: possible }}>
            <svg width="100%" height="12">
              <rect class="track" width="100%" height="12" />
              <rect class="left" width={`${(100 * got) / possible}%`} height="12" />
            </svg>
            <span>{parts[index]}</span>
          </div>
        ))}
      </div>
    </ChartFrame>
  );
}

function Checks({ label, checks }: { label: string; checks: Scored[] }) {
  return (
    <TableBox label={label}>
      <table>
        <thead>
          <tr>
            {text.score.head.map((name, index) => (
              <th key={name} scope="col" class={index > 0 && index < 4 ? 'number' : ''}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {checks.map(({ check, points: got, possible }, index) => (
            <tr key={index}>
              <td class="report-check">{check.name}</td>
              <td class="number">{digits(check.weight)}</td>
              <td class="number">{check.grade == null ? text.score.noData : digits(check.grade)}</td>
              <td class="number">{got === undefined || possible === undefined ? '–' : `${points(got)} / ${points(possible)}`}</td>
              <td>{check.reason ?? ''}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableBox>
  );
}
