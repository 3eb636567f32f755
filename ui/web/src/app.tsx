/** The shell, and which page is in it. */
import { getConfig, type UiConfig } from './api';
import { usePlace } from './location';
import { useRequest } from './request';
import { SearchPage } from './search/search-page';
import { Link } from './shell/link';
import { Message } from './shell/message';
import { TopBar } from './shell/top-bar';
import { TracePage } from './trace/trace-page';

/** Zipkin's own, for a server that does not say. */
const DEFAULTS: UiConfig = {
  environment: '',
  queryLimit: 10,
  defaultLookback: 900_000,
  searchEnabled: true,
  logsUrl: null,
  supportUrl: null,
};

export function App() {
  const config = useRequest('config', getConfig);
  if (!config.answer && !config.error) return <TopBar config={DEFAULTS} />;
  const known = config.answer ?? DEFAULTS;
  return (
    <>
      <TopBar config={known} />
      <Page config={known} />
    </>
  );
}

function Page({ config }: { config: UiConfig }) {
  const { route, search } = usePlace();
  switch (route.page) {
    case 'search':
      return <SearchPage config={config} search={search} />;
    case 'trace':
      return <TracePage key={route.traceId} config={config} traceId={route.traceId} search={search} />;
    case 'later':
      return (
        <main class="page">
          <Message title={`${route.name} cannot be shown yet`}>
            <p>This version of the UI searches traces and shows them. The API has more.</p>
            <Link path="">Search traces</Link>
          </Message>
        </main>
      );
    case 'unknown':
      return (
        <main class="page">
          <Message title="There is no such page">
            <Link path="">Search traces</Link>
          </Message>
        </main>
      );
  }
}
