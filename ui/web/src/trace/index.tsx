/** The page of a trace, as the shell loads it. */
import type { PageProperties } from '../app';
import '../style/trace.css';
import { TracePage } from './trace-page';

export default function Page({ config, route, search }: PageProperties) {
  if (route.page !== 'trace') return null;
  return <TracePage key={route.traceId} config={config} traceId={route.traceId} search={search} />;
}
