/** Which deployment it is: service, versions, where, how, when, and what became of it since. */
import type { Deployment, Report } from '../api/schema';
import { formatClock, formatDuration, formatZone } from '../format';
import { pathOf } from '../location';
import { isGoingOn } from '../rollouts';
import { Link } from '../shell/link';
import { short } from './names';
import { OtherDeployment } from './other-deployment';
import { text } from './text';

/** Of what a pipeline told, so many entries. */
const METADATA_MAX = 20;

export function Head({ report }: { report: Report }) {
  const { deployment } = report;
  if (!deployment) return null;
  const { serviceName, version, previousVersion, environment, strategy, instances = [], inferred, rolledBackTs, supersededBy } = deployment;
  const before = previousVersion ?? report.baseline.version;
  const now = new Date();
  return (
    <header class="report-head">
      <p class="no-print">
        <Link path="deployments">{text.deployments}</Link> / <Link path={pathOf('services', serviceName)}>{short(serviceName)}</Link>
      </p>
      <h1>
        {short(serviceName)} {before && <span class="report-before">{short(before)} → </span>}
        {short(version)}
      </h1>
      <ul class="report-tags">
        {environment && <li>{short(environment)}</li>}
        {strategy && <li>{text.strategies[strategy] ?? strategy}</li>}
        {instances.length > 0 && <li>{text.instances(instances.length)}</li>}
        <li class="numbers">
          {whenOf(deployment, now)} {formatZone(now)}
        </li>
        <li>{inferred ? text.inferred : text.declared}</li>
      </ul>
      <Metadata metadata={deployment.metadata ?? {}} />
      {isGoingOn(deployment, Date.now()) && (
        <p class="note" role="status">
          <span class="pulse" aria-hidden="true" />
          {text.running}
        </p>
      )}
      {deployment.rollback && <p class="note">{text.rollback}</p>}
      {rolledBackTs != null && <p class="note">{text.rolledBack(formatClock(rolledBackTs, now))}</p>}
      {supersededBy && (
        <p class="note">
          {text.superseded} <OtherDeployment id={supersededBy} />
        </p>
      )}
    </header>
  );
}

function whenOf({ startTs, endTs }: Deployment, now: Date): string {
  const from = formatClock(startTs, now);
  if (endTs == null) return text.since(from);
  return text.fromTo(from, formatClock(endTs, now), formatDuration((endTs - startTs) * 1000));
}

/** What the pipeline told: texts, and addresses as links. */
function Metadata({ metadata }: { metadata: Record<string, string> }) {
  const entries = Object.entries(metadata).slice(0, METADATA_MAX);
  if (entries.length === 0) return null;
  return (
    <dl class="report-metadata" aria-label={text.metadata}>
      {entries.map(([name, value]) => (
        <div key={name}>
          <dt>{short(name)}</dt>
          <dd>
            {/^https?:\/\//.test(value) ? (
              <a href={value} rel="noreferrer">
                {short(value)}
              </a>
            ) : (
              short(value)
            )}
          </dd>
        </div>
      ))}
    </dl>
  );
}

