/** Beside a span: how long its operation usually takes, by version, so that one sees whether this one was slow. */
import { getLatency } from '../api/services';
import { formatDuration } from '../format';
import { pathOf } from '../location';
import { useRequest } from '../request';
import { Link } from '../shell/link';
import { at } from './groups';
import { nameOf, serviceOf, versionOf } from './names';
import { text } from './text';
import { usualOf } from './usual-figures';
import { known, type TraceView } from './view';

/** So much before the end of the trace is usual. Milliseconds. */
const LOOKBACK = 6 * 3_600_000;

/** The server answers by whole minutes. */
const MINUTE = 60_000;

/** More versions than these are rarely of use. */
const VERSIONS_MAX = 4;

const KINDS = [undefined, 'CLIENT', 'SERVER', 'PRODUCER', 'CONSUMER'];

export function UsualTimes({ view, row }: { view: TraceView; row: number }) {
  const duration = known(view.rows.duration[row]);
  const isNamed = view.services[at(view.rows.service, row)] !== undefined && Boolean(view.names[at(view.rows.name, row)]);
  const [serviceName, spanName, version] = [serviceOf(view, row), nameOf(view, row), versionOf(view, row)];
  const spanKind = KINDS[at(view.rows.kind, row)];
  const endTs = Math.ceil((view.start + view.duration) / 1000 / MINUTE) * MINUTE;
  const isAsked = duration !== undefined && isNamed && view.start > 0 && serviceName.length <= 256 && spanName.length <= 256;
  // Where this fails the span is as readable as without: nothing is said.
  const { answer } = useRequest(isAsked ? `usual ${serviceName}\n${spanName}\n${spanKind}\n${endTs}` : null, (signal) =>
    getLatency({ serviceName, spanName, ...(spanKind && { spanKind }), groupBy: 'version', step: LOOKBACK }, { endTs: String(endTs), lookback: String(LOOKBACK) }, signal),
  );
  const usual = answer && duration !== undefined ? usualOf(answer.body, duration, version).slice(0, VERSIONS_MAX) : [];
  if (usual.length === 0) return null;
  return (
    <section>
      <h3>{text.usual}</h3>
      <table class="trace-usual">
        <thead>
          <tr>
            {[text.version, text.requests, text.p50, text.p95, text.thisOne].map((head, index) => (
              <th key={head} scope="col" class={index > 0 ? 'number' : ''}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {usual.map((one) => (
            <tr key={one.version ?? ''}>
              <td>
                <bdi>{one.version ?? text.noVersion}</bdi>
              </td>
              <td class="number">{one.count.toLocaleString('en')}</td>
              <td class="number">{formatDuration(one.p50)}</td>
              <td class="number">{formatDuration(one.p95)}</td>
              <td class="number">{text.slowerThan(one.above)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p>
        <Link path={pathOf('services', serviceName, spanName)}>{text.overTime}</Link>
      </p>
    </section>
  );
}
