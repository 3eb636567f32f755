/** The page of a trace, of the server or from a file, as the shell loads it. */
import type { PageProperties } from '../app';
import './trace.css';
import { TracePage } from './trace-page';
import { UploadPage } from './upload-page';

export default function Page({ config, route, search }: PageProperties) {
  if (route.page === 'upload') return <UploadPage config={config} search={search} />;
  if (route.page !== 'trace') return null;
  return <TracePage key={route.traceId} config={config} traceId={route.traceId} search={search} />;
}
