/** The bar above every page: where one can go, which installation this is, the find, the zone, the theme. */
import { useEffect, useRef } from 'preact/hooks';

import type { UiConfig } from '../api';
import { formatZone } from '../format';
import { usePlace } from '../location';
import { changeSettings, type Settings, useSettings } from '../settings';
import { Announcer } from './announcer';
import { Banners } from './banners';
import { Link } from './link';
import { QuickFind, showFind } from './quick-find';
import { openRegressions, useServer } from './server';
import { HelpDialog, showHelp } from './shortcuts';
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
  const { deployments } = useServer();
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    // In a narrow window the pages scroll sideways: the one that is shown is among those in sight.
    const bar = nav.current;
    const current = bar?.querySelector<HTMLElement>('[aria-current]');
    if (bar && current) bar.scrollLeft = current.offsetLeft - (bar.clientWidth - current.offsetWidth) / 2;
    // What regressed is told beside a name, which then is wider.
  }, [route.page, deployments]);
  return (
    <header class="top-bar">
      <Link path="" class="brand" label="Tracehound">
        <Logo />
        <span>Tracehound</span>
      </Link>
      {config.environment !== '' && (
        <span class="environment" title={text.environment}>
          {config.environment}
        </span>
      )}
      <nav ref={nav} aria-label={text.pages}>
        {PAGES.map(({ path, name, pages }) => (
          <Link key={path} path={path} current={pages.includes(route.page)}>
            {name}
            {path === 'deployments' && <Regressed />}
          </Link>
        ))}
      </nav>
      <span class="top-bar-tools">
        <button type="button" class="find-button" aria-keyshortcuts="Control+K Meta+K" onClick={showFind}>
          <span>{text.find}</span>
          <kbd>{text.findKey(navigator.platform.startsWith('Mac'))}</kbd>
        </button>
        <Zone />
        <Theme />
        <Link path="settings" current={route.page === 'settings'}>
          {text.settings}
        </Link>
        {config.supportUrl && (
          <a href={config.supportUrl} rel="noreferrer">
            {text.help}
          </a>
        )}
        <button type="button" class="quiet" aria-label={text.shortcuts} title={text.shortcuts} onClick={showHelp}>
          ?
        </button>
      </span>
      <HelpDialog />
      <QuickFind />
      <Announcer />
      <Banners />
    </header>
  );
}

/** How many deployments made something worse in the last day, and were not taken back. */
function Regressed() {
  const { deployments = [] } = useServer();
  const count = openRegressions(deployments, Date.now()).length;
  if (count === 0) return null;
  return (
    <span class="nav-badge" title={text.regressedLately(count)}>
      <span aria-hidden="true">✖ {count}</span>
      <span class="visually-hidden">{text.regressedLately(count)}</span>
    </span>
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
