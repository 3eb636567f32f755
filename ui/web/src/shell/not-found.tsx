/** An address without a page. */
import { useEffect } from 'preact/hooks';

import { Link } from './link';
import { Message } from './message';
import { text } from './text';

export function NotFound() {
  useEffect(() => {
    document.title = 'Tracehound';
  }, []);
  return (
    <main class="page">
      <Message title={text.noSuchPage}>
        <p class="links">
          <Link path="">{text.searchTraces}</Link> <Link path="deployments">{text.deployments}</Link>{' '}
          <Link path="services">{text.services}</Link> <Link path="map">{text.map}</Link>
        </p>
      </Message>
    </main>
  );
}
