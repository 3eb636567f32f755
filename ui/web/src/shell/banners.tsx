/** What concerns every page: the server does not answer, or is of another version than the page. */
import { useEffect, useState } from 'preact/hooks';

import { lookAtServer, useServer } from './server';
import { text } from './text';

export function Banners() {
  const { retryAt, outdated } = useServer();
  return (
    <>
      {retryAt !== null && <Unanswered retryAt={retryAt} />}
      {outdated && (
        <div class="banner banner-outdated" role="status">
          <span>{text.newVersion}</span>
          <button type="button" onClick={() => location.reload()}>
            {text.reload}
          </button>
        </div>
      )}
    </>
  );
}

function Unanswered({ retryAt }: { retryAt: number }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.ceil((retryAt - now) / 1000));
  return (
    <div class="banner banner-unanswered">
      <span role="alert">{text.doesNotAnswer}</span>
      {/* Not read out: it changes every second. */}
      <span class="numbers" aria-hidden="true">
        {text.againIn(seconds)}
      </span>
      <button type="button" onClick={() => void lookAtServer()}>
        {text.tryNow}
      </button>
    </div>
  );
}
