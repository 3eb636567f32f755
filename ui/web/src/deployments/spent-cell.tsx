/** What a deployment cost of an error budget, and of which. */
import type { JudgedDeployment } from '../api/schema';
import { pathOf } from '../location';
import { formatShareChange, short } from '../report/names';
import { Link } from '../shell/link';
import { text } from './text';
import type { Worst } from './worst';

export function SpentCell({ row, worst: { of, isPromised } }: { row: JudgedDeployment; worst: Worst }) {
  const promised = isPromised(row);
  if (promised === undefined) return <>{text.waiting}</>;
  if (promised === 'unknown') return <span class="muted">{text.unknown}</span>;
  if (!promised) return <span title={text.noObjective}>–</span>;
  const findings = of(row);
  if (!findings) return <>{text.waiting}</>;
  const { spent } = findings;
  if (!spent) return <span class="muted">{findings.failed ? text.unknown : text.untold}</span>;
  const { name, share, burns, of: all } = spent;
  return (
    <span class="numbers">
      {share === undefined ? <span class="muted">{text.tooFew}</span> : formatShareChange(-share)}
      {burns && <strong class="deployments-line error-mark"> {text.burns}</strong>}
      <span class="deployments-interval">
        <Link path={pathOf('slo', name)}>{short(name)}</Link>
        {all > 1 && text.worstOf(all)}
      </span>
    </span>
  );
}
