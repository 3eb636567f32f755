/** Traces that could be the other side: of the same entry operation. */
import { getTrace, getTraceSummaries, type TraceSummary } from '../api';
import { formatAgo, formatDuration } from '../format';
import { withParameters } from '../location';
import { useRequest } from '../request';
import { Link } from '../shell/link';
import { text } from './text';

const SUGGESTED_MAX = 20;

export function Suggestions({ traceId, parameter }: { traceId: string; parameter: 'a' | 'b' }) {
  const { answer } = useRequest(traceId, (signal) => similar(traceId, signal));
  if (!answer || answer.length === 0) return null;
  return (
    <section>
      <h2>{text.suggestions}</h2>
      <ul class="compare-suggestions">
        {answer.map((trace) => (
          <li key={trace.traceId}>
            <Link path={`compare${withParameters(location.search, { [parameter]: trace.traceId })}`} class="compare-trace">
              {trace.traceId}
            </Link>{' '}
            {text.suggestion(formatDuration(trace.duration), versionsOf(trace))}{' '}
            {trace.timestamp !== undefined && <span class="muted">{formatAgo(trace.timestamp, new Date())}</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Newest traces with the entry operation of one. */
async function similar(traceId: string, signal: AbortSignal): Promise<TraceSummary[]> {
  const spans = await getTrace(traceId, signal);
  const root = spans.find(({ parentId }) => parentId === undefined) ?? spans[0];
  const serviceName = root?.localEndpoint?.serviceName;
  if (!serviceName) return [];
  const parameters = new URLSearchParams({ serviceName, limit: String(SUGGESTED_MAX + 1) });
  if (root.name) parameters.set('spanName', root.name);
  const { traces } = await getTraceSummaries(parameters, signal);
  return traces.filter((trace) => trace.traceId !== traceId).slice(0, SUGGESTED_MAX);
}

function versionsOf({ services }: TraceSummary): string {
  return services.flatMap(({ serviceName, versions }) => versions.map((version) => `${serviceName} ${version}`)).join(', ');
}
