/** The bar above every page: where one is, which installation this is, and the box that opens a trace. */
import { useEffect, useRef, useState } from 'preact/hooks';

import type { UiConfig } from '../api';
import { formatZone } from '../format';
import { isTraceId, navigate, normalTraceId } from '../location';
import { Link } from './link';

export function TopBar({ config }: { config: UiConfig }) {
  return (
    <header class="top-bar">
      <Link path="" class="brand">
        <Logo />
        Tracehound
      </Link>
      {config.environment !== '' && (
        <span class="environment" title="Environment">
          {config.environment}
        </span>
      )}
      <GoToTrace />
      <span class="zone" title="Times are shown in this zone">
        {formatZone(new Date())}
      </span>
      {config.supportUrl && (
        <a href={config.supportUrl} rel="noreferrer">
          Help
        </a>
      )}
    </header>
  );
}

function Logo() {
  return (
    <svg width="22" height="22" viewBox="0 0 22 22" aria-hidden="true">
      <rect x="1" y="3" width="20" height="4" rx="1.5" fill="var(--brand)" />
      <rect x="5" y="9" width="9" height="4" rx="1.5" fill="var(--brand-soft)" />
      <rect x="12" y="15" width="7" height="4" rx="1.5" fill="var(--brand-accent)" />
    </svg>
  );
}

/** Opens a trace by its identifier. `/` puts the cursor here. */
function GoToTrace() {
  const [wrong, setWrong] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const typing = target.matches?.('input, select, textarea');
      if (event.key !== '/' || typing || event.metaKey || event.ctrlKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    window.addEventListener('keydown', focus);
    return () => window.removeEventListener('keydown', focus);
  }, []);
  const open = (event: Event) => {
    event.preventDefault();
    const traceId = normalTraceId(input.current?.value ?? '');
    setWrong(!isTraceId(traceId));
    if (!isTraceId(traceId) || !input.current) return;
    input.current.value = '';
    navigate(`traces/${traceId}`);
  };
  return (
    <form class="go-to-trace" role="search" aria-label="Open a trace" onSubmit={open}>
      <input
        ref={input}
        aria-label="Trace ID"
        aria-invalid={wrong}
        aria-describedby={wrong ? 'trace-id-error' : undefined}
        placeholder="Trace ID"
        spellcheck={false}
        autocomplete="off"
        onInput={() => setWrong(false)}
      />
      <button type="submit">Open</button>
      {wrong && (
        <span id="trace-id-error" class="field-error" role="alert">
          A trace ID is 1 to 32 hexadecimal digits.
        </span>
      )}
    </form>
  );
}
