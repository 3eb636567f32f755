/** Pairs of traces that show a finding, to be looked at side by side. */
import type { Finding, Report } from '../api/schema';
import { pathOf } from '../location';
import { Link } from '../shell/link';
import { TableBox } from '../shell/table-box';
import { cohortPath, pairPath } from './links';
import { operationName } from './names';
import { Panel } from './panel';
import { text } from './text';

/** Findings of which pairs are shown: the worst. */
const FINDINGS_MAX = 5;

export function Proof({ report }: { report: Report }) {
  const shown = report.findings.filter(({ exemplars }) => exemplars.baseline.length + exemplars.candidate.length > 0).slice(0, FINDINGS_MAX);
  const cohort = cohortPath(report);
  return (
    <Panel name="proof">
      <p>{shown.length === 0 ? text.proof.nothing : text.proof.intro}</p>
      {shown.map((finding, index) => (
        <Pairs key={index} finding={finding} />
      ))}
      {cohort !== undefined && (
        <p>
          <Link path={cohort}>{text.proof.cohort}</Link>
        </p>
      )}
    </Panel>
  );
}

function Pairs({ finding: { origin, cause, exemplars } }: { finding: Finding }) {
  const count = Math.max(exemplars.baseline.length, exemplars.candidate.length);
  const title = `${operationName(origin)}: ${text.causes[cause]}`;
  return (
    <TableBox label={title}>
      <table>
        <caption>{title}</caption>
        <thead>
          <tr>
            {text.proof.head.slice(1, 3).map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
            <td />
          </tr>
        </thead>
        <tbody>
          {Array.from({ length: count }, (_, index) => {
            const [a, b] = [exemplars.baseline[index], exemplars.candidate[index]];
            return (
              <tr key={index}>
                <td>{a && <TraceLink traceId={a} />}</td>
                <td>{b && <TraceLink traceId={b} />}</td>
                <td>
                  {a && b && (
                    <Link path={pairPath(a, b)} class="button">
                      {text.proof.compare}
                      <span class="visually-hidden"> {text.proof.pair(index + 1)}</span>
                    </Link>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </TableBox>
  );
}

function TraceLink({ traceId }: { traceId: string }) {
  return (
    <Link path={pathOf('traces', traceId)} class="report-trace-id">
      {traceId}
    </Link>
  );
}
