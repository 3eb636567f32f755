/** The shell, and which page is in it. Each page is a piece of its own, loaded when somebody goes there. */
import type { ComponentType } from 'preact';
import { useEffect, useLayoutEffect } from 'preact/hooks';

import { getConfig, type UiConfig } from './api';
import { lazyPage } from './lazy-page';
import { type Route, usePlace } from './location';
import { useRequest } from './request';
import { NotFound } from './shell/not-found';
import { TopBar } from './shell/top-bar';
import { useServerWatch } from './shell/server';
import { useGlobalShortcuts } from './shell/shortcuts';

/** What every page is given. */
export interface PageProperties {
  config: UiConfig;
  /** The query of the address, with its `?` unless it is empty. */
  search: string;
  route: Route;
}

/** Zipkin's own, for a server that does not say. */
const DEFAULTS: UiConfig = {
  environment: '',
  queryLimit: 10,
  defaultLookback: 900_000,
  searchEnabled: true,
  logsUrl: null,
  supportUrl: null,
};

type Page = ComponentType<PageProperties> & { begin: () => void };

const PAGES: { [Name in Route['page']]?: Page } = {
  search: lazyPage(() => import('./search')),
  trace: lazyPage(() => import('./trace')),
  upload: lazyPage(() => import('./trace')),
  settings: lazyPage(() => import('./settings-page')),
  services: lazyPage(() => import('./services')),
  service: lazyPage(() => import('./services')),
  operation: lazyPage(() => import('./services')),
  deployments: lazyPage(() => import('./deployments')),
  report: lazyPage(() => import('./report')),
  compare: lazyPage(() => import('./compare')),
  map: lazyPage(() => import('./map')),
  objectives: lazyPage(() => import('./slo')),
  objective: lazyPage(() => import('./slo')),
};

export function App() {
  const config = useRequest('config', getConfig);
  const { route } = usePlace();
  // While the server is asked for what every page is given.
  useLayoutEffect(() => PAGES[route.page]?.begin(), []);
  useGlobalShortcuts();
  useServerWatch();
  if (!config.answer && !config.error) return <TopBar config={DEFAULTS} />;
  const known = config.answer ?? DEFAULTS;
  return (
    <>
      <TopBar config={known} />
      <Shown config={known} />
    </>
  );
}

function Shown({ config }: { config: UiConfig }) {
  const { route, search } = usePlace();
  const Page = PAGES[route.page];
  useEffect(() => {
    document.body.dataset['page'] = route.page;
  }, [route.page]);
  if (!Page) return <NotFound />;
  return <Page key={route.page} config={config} search={search} route={route} />;
}
