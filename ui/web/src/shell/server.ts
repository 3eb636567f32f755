/**
 * What the shell knows of its server, on every page: whether it answers, whether it is still the version that this page
 * came from, and its newest deployments. It asks every half minute while the page is seen; where nothing answers, soon
 * and then less and less often. Events would hold one of the six connections that a browser has to a server, per tab.
 */
import { useEffect, useState } from 'preact/hooks';

import { ANSWERED, ApiError, getDeployments, UNANSWERED } from '../api';
import type { JudgedDeployment } from '../api/schema';
import { getIndex } from '../api/shell';
import { liveRegressions } from '../rollouts';
import { standingOf } from '../rollouts';
import { announce } from './announcer';
import { text } from './text';

export interface ServerState {
  /** Newest first; absent until the server said. */
  deployments?: readonly JudgedDeployment[];
  /** When it is asked again, milliseconds since the epoch, while it does not answer; `null` while it does. */
  retryAt: number | null;
  /** The server has another version of this page. */
  outdated: boolean;
}

/** Enough for the list of a find, and for a badge of a day. */
const NEWEST = { limit: '100' };

const LOOK_MS = 30_000;
const RETRY_MAX_MS = 30_000;
const DAY_MS = 86_400_000;

/** The page of another version is looked for with every so manieth question: five minutes. */
const VERSION_EVERY = 10;

let state: ServerState = { retryAt: null, outdated: false };
const listeners = new Set<(state: ServerState) => void>();
let timer: ReturnType<typeof setTimeout> | undefined;
let looking = false;
let failures = 0;
let looks = 0;

function change(to: Partial<ServerState>): void {
  state = { ...state, ...to };
  for (const listener of listeners) listener(state);
}

/** How long after so many failures in a row the server is asked again, milliseconds. */
export function retryAfter(failures: number): number {
  return Math.min(RETRY_MAX_MS, 1000 * 2 ** Math.max(0, failures - 1));
}

/** What nobody took back yet and made something worse, of the day before. */
export function openRegressions(deployments: readonly JudgedDeployment[], now: number): JudgedDeployment[] {
  return liveRegressions(deployments).filter(({ startTs }) => startTs > now - DAY_MS);
}

/** The deployments whose verdict is another one than before, or that have one now; that it is not known is no news. */
export function verdictChanges(
  before: readonly JudgedDeployment[],
  after: readonly JudgedDeployment[],
): JudgedDeployment[] {
  const verdicts = new Map(before.map(({ id, verdict }) => [id, verdict]));
  return after.filter(
    ({ id, verdict }) =>
      verdict != null && verdict !== 'insufficient_data' && verdicts.has(id) && verdicts.get(id) !== verdict,
  );
}

/** Whether a page is not the one that this script came with. */
export function isOtherVersion(index: string, script: string | null): boolean {
  return index !== '' && script !== null && !index.includes(`"${script}"`);
}

/** Asks the server now. */
export async function lookAtServer(): Promise<void> {
  if (looking) return;
  looking = true;
  clearTimeout(timer);
  try {
    const { body: deployments } = await getDeployments(NEWEST, AbortSignal.timeout(LOOK_MS));
    tellChanges(state.deployments ?? [], deployments);
    change({ deployments });
    await answered();
  } catch (error) {
    // Any other refusal is an answer: a server without deployments has no badge, and nothing else is wrong with it.
    if (error instanceof ApiError && ![0, 502, 503, 504].includes(error.status)) await answered();
    else unanswered();
  } finally {
    looking = false;
    const wait = failures > 0 ? retryAfter(failures) : LOOK_MS;
    timer = setTimeout(() => void lookIfSeen(), wait);
  }
}

async function answered(): Promise<void> {
  const again = failures > 0;
  failures = 0;
  if (again || looks++ % VERSION_EVERY === VERSION_EVERY - 1) await lookAtVersion();
  if (!again) return;
  change({ retryAt: null });
  announce(text.answersAgain);
  window.dispatchEvent(new Event(ANSWERED));
}

function unanswered(): void {
  failures += 1;
  change({ retryAt: Date.now() + retryAfter(failures) });
}

async function lookAtVersion(): Promise<void> {
  const script = document.querySelector('script[type="module"][src]')?.getAttribute('src') ?? null;
  if (isOtherVersion(await getIndex(), script)) change({ outdated: true });
}

/** One message however many changed: no flood for who has it read out. */
function tellChanges(before: readonly JudgedDeployment[], after: readonly JudgedDeployment[]): void {
  const changed = verdictChanges(before, after);
  const [first] = changed;
  if (!first?.verdict) return;
  announce(
    changed.length === 1
      ? text.verdictChanged(`${first.serviceName} ${first.version}`, text.standings[standingOf(first.verdict, first.score)])
      : text.verdictsChanged(changed.length),
  );
}

async function lookIfSeen(): Promise<void> {
  if (document.visibilityState === 'visible') await lookAtServer();
}

/** Begins to look; once, by the app. */
export function useServerWatch(): void {
  useEffect(() => {
    const notice = () => {
      if (failures === 0) void lookAtServer();
    };
    const seen = () => void lookIfSeen();
    window.addEventListener(UNANSWERED, notice);
    document.addEventListener('visibilitychange', seen);
    void lookAtServer();
    return () => {
      clearTimeout(timer);
      window.removeEventListener(UNANSWERED, notice);
      document.removeEventListener('visibilitychange', seen);
    };
  }, []);
}

/** What is known; renders again when it changes. */
export function useServer(): ServerState {
  const [value, setValue] = useState(state);
  useEffect(() => {
    listeners.add(setValue);
    setValue(state);
    return () => void listeners.delete(setValue);
  }, []);
  return value;
}
