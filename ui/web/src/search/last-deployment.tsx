/** What was deployed last and what became of it, above every search: the first thing to know when something is slow. */
import { formatAgo } from '../format';
import { pathOf } from '../location';
import { isGoingOn } from '../rollouts';
import { Link } from '../shell/link';
import { useServer } from '../shell/server';
import { VerdictChip } from '../shell/verdict-chip';
import { text } from './text';

export function LastDeployment() {
  const [last] = useServer().deployments ?? [];
  if (!last) return null;
  const { id, serviceName, version, startTs, verdict, score } = last;
  return (
    <p class="last-deployment">
      <span class="muted">{text.lastDeployment}</span>
      <Link path={pathOf('deployments', id)}>
        <bdi>
          {serviceName} {version}
        </bdi>
      </Link>
      <VerdictChip verdict={verdict} score={score} running={isGoingOn(last, Date.now())} />
      <span class="muted">{formatAgo(startTs * 1000, new Date())}</span>
    </p>
  );
}
