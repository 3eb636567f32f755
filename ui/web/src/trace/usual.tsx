/** Beside a span: how long its operation usually takes, by version, so that one sees whether this one was slow. */
import { formatDuration } from '../format';
import { pathOf } from '../location';
import { useRequest } from '../request';
import { Link } from '../shell/link';
import { nameOf, serviceOf, versionOf } from './names';
import { text } from './text';
import { usualOf } from './usual-figures';
import { type UsualQuestion, usualQuestion } from './usual-question';
import { known, type TraceView } from './view';

/** More versions than these are rarely of use. */
const VERSIONS_MAX = 4;

export function UsualTimes({ view, row }: { view: TraceView; row: number }) {
  const duration = known(view.rows.duration[row]);
  const [serviceName, spanName, version] = [serviceOf(view, row), nameOf(view, row), versionOf(view, row)];
  const question = duration === undefined ? null : usualQuestion(view, row);
  // Where this fails the span is as readable as without: nothing is said.
  const { answer } = useRequest(question && question.key, (signal) => (question as UsualQuestion).ask(signal));
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
