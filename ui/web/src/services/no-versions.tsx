/** Says what is missing where no span bears a version. */
import type { Pieces } from '../few';
import { Link } from '../shell/link';
import type { ServiceSteps } from './figures';
import { text } from './text';

interface Properties {
  steps: Pieces<ServiceSteps>;
  /** How many are to be known before anything can be said. */
  services: number;
}

export function NoVersions({ steps, services }: Properties) {
  const answers = [...steps.known.values()].flatMap(({ answer }) => answer ?? []);
  const busy = answers.filter(({ count }) => count > 0);
  if (busy.length === 0 || answers.length < Math.min(services, 10) || busy.some(({ byVersion }) => byVersion.length > 0)) return null;
  return (
    <p class="note">
      {text.noVersions} {text.howVersions} <Link path="deployments">{text.declare}</Link>
    </p>
  );
}
