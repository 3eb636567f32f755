/** Every deployment, newest first: what became of it, and where what changed began. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { getDeployments } from '../api';
import type { JudgedDeployment } from '../api/schema';
import type { PageProperties } from '../app';
import { useDeploymentNews } from '../deployment-events';
import { changeParameters } from '../location';
import { useRequest } from '../request';
import { isGoingOn } from '../rollouts';
import { useSettings } from '../settings';
import { Asked } from '../shell/asked';
import { Message } from '../shell/message';
import { PageTime } from '../shell/page-time';
import { useServer } from '../shell/server';
import { Filters } from './filters';
import { Ways } from './ways';
import { DeploymentList } from './list';
import { LIMIT_MAX, listParameters, LOOKBACK_DEFAULT_MS, type Question, questionOf, shownOf } from './question';
import { text } from './text';
import { useWorst } from './worst';
import './deployments.css';

/** What is looked for among what came, so that the server need not be asked again. */
const UNASKED = { verdict: undefined, kind: undefined, source: undefined };

export default function DeploymentsPage({ search }: PageProperties) {
  useSettings();
  const question = questionOf(search);
  // When it was looked at, milliseconds since the epoch: what ends now ends then.
  const [looked, setLooked] = useState(() => Date.now());
  const key = JSON.stringify({ ...question, ...UNASKED });
  const list = useRequest(`${key} ${looked}`, (signal) => getDeployments(listParameters(question, looked), signal));
  const worst = useWorst();
  const running = (list.answer?.body ?? []).some((deployment) => isGoingOn(deployment, Date.now()));
  const look = () => setLooked(Date.now());
  useDeploymentNews(undefined, running, look);
  const standing = standingOf(useServer().deployments);
  const before = useRef(standing);
  useEffect(() => {
    if (before.current !== '' && before.current !== standing) look();
    before.current = standing;
  }, [standing]);
  useEffect(() => {
    document.title = `${text.title} · Tracehound`;
  }, []);
  return (
    <main class="page">
      <h1>{text.title}</h1>
      <Filters question={question} known={list.answer?.body ?? []} />
      {question.range && <PageTime asked={{ range: question.range, endTs: question.range.endTs ?? looked, again: look }} />}
      <Asked request={list} missing={({ missing }) => missing}>
        {({ body }) => {
          const shown = shownOf(body, question, Date.now());
          if (shown.length === 0) return <Empty question={question} any={body.length > 0} />;
          return (
            <>
              <NotKnown why={text.findingsFailed} error={worst.error} />
              <NotKnown why={text.objectivesFailed} error={worst.objectivesError} />
              <p class="muted deployments-count">{countOf(shown.length, body.length)}</p>
              <DeploymentList deployments={shown} worst={worst} search={search} />
              {body.length >= question.limit && question.limit < LIMIT_MAX && (
                <button type="button" onClick={() => changeParameters({ limit: String(Math.min(LIMIT_MAX, question.limit * 2)) })}>
                  {text.more}
                </button>
              )}
              <details class="deployments-how">
                <summary>{text.how}</summary>
                <Ways />
              </details>
            </>
          );
        }}
      </Asked>
    </main>
  );
}

function NotKnown({ why, error }: { why: string; error: string | undefined }) {
  if (error === undefined) return null;
  return (
    <p class="note">
      {why} {error}
    </p>
  );
}

/** Another value whenever the newest deployments, which the shell knows, are other ones or have another verdict. */
function standingOf(newest: readonly JudgedDeployment[] = []): string {
  return newest.map(({ id, verdict, endTs }) => `${id} ${verdict} ${endTs}`).join();
}

function countOf(shown: number, all: number): string {
  if (shown === all) return text.count(all.toLocaleString('en'));
  return text.shown(shown.toLocaleString('en'), all.toLocaleString('en'));
}

/** Nothing to show: because of the filters, because of the time, or because nobody told of any. */
function Empty({ question, any }: { question: Question; any: boolean }) {
  const filtered = any || question.serviceName !== '' || question.environment !== '';
  const reset = () => changeParameters({ serviceName: null, environment: null, verdict: null, kind: null, source: null }, 'push');
  const setTime = (lookback: string | null) =>
    changeParameters({ lookback, endTs: null, startTs: null, millis: null }, 'push');
  const title = filtered ? text.noneMatches : question.range ? text.noneInRange : text.none;
  return (
    <>
      <Message title={title}>
        <p class="ways-out">
          {filtered && (
            <button type="button" onClick={reset}>
              {text.reset}
            </button>
          )}
          {question.range && question.range.lookback < LOOKBACK_DEFAULT_MS && (
            <button type="button" onClick={() => setTime(null)}>
              {text.widen}
            </button>
          )}
          {question.range && (
            <button type="button" onClick={() => setTime('all')}>
              {text.everything}
            </button>
          )}
        </p>
        {!filtered && <p>{text.noneWhy}</p>}
      </Message>
      {!filtered && <Ways />}
    </>
  );
}
