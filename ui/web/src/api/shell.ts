/** What the shell asks on every page. */
import { apiUrl, getJson } from './http';
import type { JudgedDeployment } from './schema';

/** Deployments of the whole server, newest first, at most so many. */
export function getNewestDeployments(limit: number, signal: AbortSignal): Promise<JudgedDeployment[]> {
  return getJson(apiUrl('deployments', { limit: String(limit) }), signal);
}

/** The page that the server has now, past every cache. */
export async function getIndex(): Promise<string> {
  const response = await fetch(document.baseURI, { cache: 'no-store', headers: { accept: 'text/html' } });
  return response.ok ? response.text() : '';
}
