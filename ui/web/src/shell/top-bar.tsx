/** The bar above every page: where one can go, which installation this is, the zone, the theme, and a trace's ID. */
import { useEffect, useRef, useState } from 'preact/hooks';

import type { UiConfig } from '../api';
import { formatZone } from '../format';
import { isTraceId, navigate, normalTraceId, usePlace } from '../location';
import { changeSettings, type Settings, useSettings } from '../settings';
import { Announcer } from './announcer';
import { Link } from './link';
import { FIND, HelpDialog, showHelp } from './shortcuts';
import { text } from './text';

/** The pages of the bar, with those that belong to each. */
const PAGES: { path: string; name: string; pages: string[] }[] = [
  { path: 'deployments', name: text.deployments, pages: ['deployments', 'report', 'compare'] },
  { path: '', name: text.traces, pages: ['search', 'trace', 'upload'] },
  { path: 'services', name: text.services, pages: ['services', 'service', 'operation'] },
  { path: 'map', name: text.map, pages: ['map'] },
  { path: 'slo', name: text.objectives, pages: ['objectives', 'objective'] },
];

export function TopBar({ config }: { config: UiConfig }) {
  const { route } = usePlace();
  return (
    <header class="top-bar">
      <Link path="" class="brand">
        <Logo />
        Tracehound
      </Link>
      {config.environment !== '' && (
        <span class="environment" title={text.environment}>
          {config.environment}
        </span>
      )}
      <nav aria-label={text.pages}>
        {PAGES.map(({ path, name, pages }) => (
          <Link key={path} path={path} current={pages.includes(route.page)}>
            {name}
          </Link>
        ))}
      </nav>
      <GoToTrace />
      <Zone />
      <Theme />
      <Link path="settings" current={route.page === 'settings'}>
        {text.settings}
      </Link>
      <button type="button" class="quiet" aria-label={text.shortcuts} title={text.shortcuts} onClick={showHelp}>
        ?
      </button>
      {config.supportUrl && (
        <a href={config.supportUrl} rel="noreferrer">
          {text.help}
        </a>
      )}
      <HelpDialog />
      <Announcer />
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

function Zone() {
  const { zone } = useSettings();
  const other = zone === 'utc' ? 'local' : 'utc';
  return (
    <button type="button" class="quiet zone" title={text.zone} onClick={() => changeSettings({ zone: other })}>
      {formatZone(new Date())}
    </button>
  );
}

function Theme() {
  const { theme } = useSettings();
  const choose = (event: Event) =>
    changeSettings({ theme: (event.currentTarget as HTMLSelectElement).value as Settings['theme'] });
  return (
    <select class="theme" aria-label={text.theme} value={theme} onChange={choose}>
      {Object.entries(text.themes).map(([value, name]) => (
        <option key={value} value={value}>
          {name}
        </option>
      ))}
    </select>
  );
}

/** Opens a trace by its identifier. `/` puts the cursor here. */
function GoToTrace() {
  const [wrong, setWrong] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focus = () => input.current?.focus();
    window.addEventListener(FIND, focus);
    return () => window.removeEventListener(FIND, focus);
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
    <form class="go-to-trace" role="search" aria-label={text.openTrace} onSubmit={open}>
      <input
        ref={input}
        aria-label={text.traceId}
        aria-invalid={wrong}
        aria-describedby={wrong ? 'trace-id-error' : undefined}
        placeholder={text.traceId}
        spellcheck={false}
        autocomplete="off"
        onInput={() => setWrong(false)}
      />
      <button type="submit">{text.open}</button>
      {wrong && (
        <span id="trace-id-error" class="field-error" role="alert">
          {text.notATraceId}
        </span>
      )}
    </form>
  );
}
