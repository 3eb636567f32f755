/** A link to another deployment, by its service and version once they are known. */
import { getDeployment } from '../api';
import { pathOf } from '../location';
import { useRequest } from '../request';
import { Link } from '../shell/link';
import { deploymentName } from './names';

export function OtherDeployment({ id }: { id: string }) {
  const { answer } = useRequest(id, (signal) => getDeployment(id, signal));
  return <Link path={pathOf('deployments', id)}>{answer ? deploymentName(answer) : id}</Link>;
}
