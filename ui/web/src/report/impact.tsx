/** Who suffers: entry operations, and the error budgets of the service. */
import type { Report, SloState, Victim } from '../api/schema';
import { formatChange, formatShare } from '../format';
import { pathOf } from '../location';
import { Link } from '../shell/link';
import { TableBox } from '../shell/table-box';
import { formatShareChange, operationKey, operationName } from './names';
import { Panel } from './panel';
import { meanBefore } from './sentence';
import { text } from './text';

const VICTIMS_MAX = 50;

export function Impact({ report }: { report: Report }) {
  const victims = victimsOf(report);
  return (
    <Panel name="impact">
      <h3>{text.impact.victims}</h3>
      {victims.length === 0 ? (
        <p>{text.impact.noVictims}</p>
      ) : (
        <TableBox label={text.impact.victims}>
          <table>
            <Head names={text.impact.victimsHead} />
            <tbody>
              {victims.map(({ victim, why }) => {
                const before = meanBefore(report, victim);
                return (
                  <tr key={operationKey(victim)}>
                    <td>
                      <Link path={pathOf('services', victim.serviceName, victim.spanName)}>{operationName(victim)}</Link>
                    </td>
                    <td class="numbers">{formatChange(victim.change)}</td>
                    <td class="numbers">{before ? formatShareChange(victim.change / before) : '–'}</td>
                    <td>{why}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </TableBox>
      )}
      <h3>{text.impact.budget}</h3>
      {report.slo.length === 0 ? <p>{text.impact.noSlo}</p> : <Objectives slo={report.slo} />}
    </Panel>
  );
}

/** Each entry operation once, with the first finding that it suffers from. */
function victimsOf({ findings }: Report): { victim: Victim; why: string }[] {
  const victims = new Map<string, { victim: Victim; why: string }>();
  for (const finding of findings) {
    for (const victim of finding.victims) {
      const key = operationKey(victim);
      if (!victims.has(key)) victims.set(key, { victim, why: `${operationName(finding.origin)}: ${text.causes[finding.cause]}` });
    }
  }
  return [...victims.values()].slice(0, VICTIMS_MAX);
}

function Head({ names }: { names: string[] }) {
  return (
    <thead>
      <tr>
        {names.map((name) => (
          <th key={name} scope="col">
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}

function Objectives({ slo }: { slo: SloState[] }) {
  return (
    <TableBox label={text.impact.budget}>
      <table>
        <Head names={text.impact.sloHead} />
        <tbody>
          {slo.map(({ name, objective, budgetRemaining, burnRate, spentByDeployment, fastBurn }) => (
            <tr key={name}>
              <td>
                <Link path={pathOf('slo', name)}>{name}</Link>
              </td>
              <td class="numbers">{formatObjective(objective)}</td>
              <td class="numbers">{budgetRemaining == null ? text.impact.unknown : <Budget left={budgetRemaining} />}</td>
              <td class="numbers">{spentByDeployment == null ? text.impact.unknown : formatShare(spentByDeployment)}</td>
              <td class="numbers">
                {burnRate == null ? text.impact.unknown : text.impact.times(burnRate.toLocaleString('en', { maximumSignificantDigits: 3 }))}{' '}
                {fastBurn && <strong class="error-mark">{text.impact.fastBurn}</strong>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableBox>
  );
}

/** `99.95 %`: never rounded to another promise. */
function formatObjective(objective: number): string {
  return `${Number((objective * 100).toFixed(6))} %`;
}

function Budget({ left }: { left: number }) {
  const share = Math.max(0, Math.min(1, left));
  return (
    <span class="report-budget">
      <svg width="64" height="8" aria-hidden="true">
        <rect class="track" width="64" height="8" />
        <rect class={left <= 0 ? 'spent' : 'left'} width={left <= 0 ? 64 : 64 * share} height="8" />
      </svg>
      {formatShare(left)}
    </span>
  );
}
