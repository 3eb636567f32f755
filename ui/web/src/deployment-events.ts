/**
 * Looks again when something happened to a deployment that goes on: the server says so (server-sent events), and where
 * those do not come, as behind a proxy that holds answers back, pages ask by themselves, ever more seldom. Listening
 * holds one of the six connections that a browser has to a server, so only a page that is seen does.
 */
import { useEffect, useRef, useState } from 'preact/hooks';

import { deploymentEventsUrl } from './api';

/** Several things happen at once: they are looked at once. */
const TOGETHER_MS = 1000;

const POLL_FIRST_MS = 10_000;
const POLL_LAST_MS = 120_000;

/** What the server calls its events. */
const EVENTS = [
  'deployment_began',
  'deployment_ended',
  'deployment_rolled_back',
  'deployment_superseded',
  'verdict_changed',
  'score_changed',
  'new_finding',
  'missed',
];

/** Calls `look` when there may be news of a service's deployments, or of all, as long as something `goesOn`. */
export function useDeploymentNews(serviceName: string | undefined, goesOn: boolean, look: () => void): void {
  const latest = useRef(look);
  latest.current = look;
  const listens = useSeen() && goesOn;
  useEffect(() => {
    if (!listens) return;
    let soon: ReturnType<typeof setTimeout> | undefined;
    const source = new EventSource(deploymentEventsUrl(serviceName));
    const hear = () => {
      clearTimeout(soon);
      soon = setTimeout(() => latest.current(), TOGETHER_MS);
    };
    for (const event of EVENTS) source.addEventListener(event, hear);
    let wait = POLL_FIRST_MS;
    const again = () => {
      latest.current();
      wait = Math.min(2 * wait, POLL_LAST_MS);
      timer = setTimeout(again, wait);
    };
    let timer = setTimeout(again, wait);
    return () => {
      clearTimeout(soon);
      clearTimeout(timer);
      source.close();
    };
  }, [serviceName, listens]);
}

/** Whether the page is in sight; renders again when that changes. */
function useSeen(): boolean {
  const [seen, setSeen] = useState(document.visibilityState === 'visible');
  useEffect(() => {
    const update = () => setSeen(document.visibilityState === 'visible');
    document.addEventListener('visibilitychange', update);
    return () => document.removeEventListener('visibilitychange', update);
  }, []);
  return seen;
}
