/** What the shell asks on every page, beside the newest deployments. */

/** The page that the server has now, past every cache. */
export async function getIndex(): Promise<string> {
  const response = await fetch(document.baseURI, { cache: 'no-store', headers: { accept: 'text/html' } });
  return response.ok ? response.text() : '';
}
