/** An address without a page. */
import { useEffect } from 'preact/hooks';

import { Link } from './link';
import { Message } from './message';
import { PLACES } from './shortcuts';
import { text } from './text';

export function NotFound() {
  useEffect(() => {
    document.title = text.titleOf(text.noSuchPage);
  }, []);
  return (
    <main class="page">
      <h1 class="visually-hidden">{text.noSuchPage}</h1>
      <Message title={text.noSuchPage}>
        <p>{text.noSuchPageWhy}</p>
        <p class="links">
          {PLACES.map(([keys, path, name]) => (
            <Link key={keys} path={path} class="button">
              {name}
            </Link>
          ))}
        </p>
      </Message>
    </main>
  );
}
