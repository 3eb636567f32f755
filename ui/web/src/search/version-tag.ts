/** Which tag tells versions: the server resolves it for every span, but a search has to name one. */
import type { Found } from '../api';
import { apiParameters, type SearchQuery } from './query';

/** The server's default order; a span bears one of them, as a rule. */
export const VERSION_TAGS = ['service.version', 'version', 'app.version'];

/** Where none of them finds anything. */
const USUAL = 'version';

/** The first tag by which the service has spans of the version in the window. One small question each. */
export async function versionTagOf(
  query: SearchQuery,
  nowMs: number,
  ask: (parameters: URLSearchParams) => Promise<Found>,
): Promise<string> {
  const bare = { ...query, spanName: '', remoteServiceName: '', annotationQuery: '', q: '', minDuration: '', maxDuration: '' };
  for (const tag of VERSION_TAGS) {
    const { traces } = await ask(apiParameters({ ...bare, limit: 1, sort: 'newest' }, nowMs, tag));
    if (traces.length > 0) return tag;
  }
  return USUAL;
}
