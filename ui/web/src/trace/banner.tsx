/** Which deployment a trace went through that made something slower: who looks at a trace may not know of it. */
import { useMemo } from 'preact/hooks';

import { getDeploymentsUntil } from '../api/services';
import type { JudgedDeployment } from '../api/schema';
import { formatAgo } from '../format';
import { pathOf } from '../location';
import { useRequest } from '../request';
import { Link } from '../shell/link';
import { VerdictChip } from '../shell/verdict-chip';
import { at } from './groups';
import { text } from './text';
import type { TraceView } from './view';

/** More would hide the trace. */
const SHOWN_MAX = 3;

export function VersionBanner({ view }: { view: TraceView }) {
  const pairs = useMemo(() => versionsOf(view), [view]);
  const key = pairs.size === 0 || view.start === 0 ? null : `deployments around ${view.traceId}`;
  // Where this fails the trace is as readable as without: nothing is said.
  const { answer } = useRequest(key, (signal) => getDeploymentsUntil(Math.ceil((view.start + view.duration) / 1000), null, signal));
  const regressed = (answer?.body ?? []).filter((deployment) => isBad(deployment, pairs)).slice(0, SHOWN_MAX);
  if (regressed.length === 0) return null;
  return (
    <section class="trace-banner" aria-label={text.wentThrough}>
      {regressed.map((deployment) => (
        <p key={deployment.id}>
          {text.wentThrough}{' '}
          <strong>
            <bdi>{deployment.serviceName}</bdi> <bdi>{deployment.version}</bdi>
          </strong>
          , {text.deployedAt(formatAgo(deployment.startTs * 1000, new Date()))}:{' '}
          <VerdictChip verdict={deployment.verdict} score={deployment.score} />{' '}
          <Link path={pathOf('deployments', deployment.id)}>{text.seeReport}</Link>
        </p>
      ))}
    </section>
  );
}

function isBad(deployment: JudgedDeployment, pairs: ReadonlySet<string>): boolean {
  return deployment.verdict === 'regressed' && pairs.has(`${deployment.serviceName}\n${deployment.version}`);
}

/** Which versions of which services the trace went through. */
function versionsOf({ rows, services, versions }: TraceView): Set<string> {
  const seen = new Set<number>();
  for (let row = 0; row < rows.count; row++) {
    const version = at(rows.version, row);
    const service = at(rows.service, row);
    if (version >= 0 && service >= 0) seen.add(service * versions.length + version);
  }
  return new Set([...seen].map((pair) => `${services[Math.floor(pair / versions.length)]}\n${versions[pair % versions.length]}`));
}
