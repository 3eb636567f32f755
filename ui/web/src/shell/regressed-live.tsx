/** Says that a version which made something worse is live, on every page about its service. */
import type { JudgedDeployment } from '../api/schema';
import { pathOf } from '../location';
import { liveRegressions } from '../rollouts';
import { Link } from './link';
import { text } from './text';
import { VerdictChip } from './verdict-chip';

export function RegressedLive({ deployments }: { deployments: readonly JudgedDeployment[] }) {
  const regressed = liveRegressions(deployments);
  if (regressed.length === 0) return null;
  return (
    <section class="regressed-live" aria-label={text.regressedLive(regressed.length)}>
      <strong>{text.regressedLive(regressed.length)}</strong>
      {regressed.map(({ id, serviceName, version, verdict, score }) => (
        <span key={id} class="chart-key">
          <VerdictChip verdict={verdict} score={score} />
          <bdi>
            {serviceName} {version}
          </bdi>
          <Link path={pathOf('deployments', id)}>{text.readReport}</Link>
        </span>
      ))}
    </section>
  );
}
