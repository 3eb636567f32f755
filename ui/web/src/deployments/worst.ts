/**
 * What was found of each deployment of a list: the worst finding, and what it cost of an error budget. Each may be an
 * analysis: they are asked for one by one, of rows that come into sight, so that the first are there at once and who
 * opens a report does not wait for all the others.
 */
import { useCallback, useMemo, useRef } from 'preact/hooks';

import { getRegressions, getReport } from '../api';
import { getObjectives } from '../api/objectives';
import type { JudgedDeployment } from '../api/schema';
import { type Piece, useFew } from '../few';
import { useRequest } from '../request';
import { type Findings, worstFinding } from './question';
import { spentOf } from './spent';

/** The server has room for two analyses at one time. */
const AT_ONCE = 1;

/** What it caused comes before what cost nothing. */
const FINDINGS_MAX = 20;

export interface Worst {
  /** What is known of a deployment's findings; `undefined` until something is. */
  of: (deployment: JudgedDeployment) => Findings | undefined;
  /** Asks about one, unless that was done since it last changed. */
  want: (question: string) => void;
  /** Why something is not known. */
  error: string | undefined;
  /** Whether its service has an objective; `undefined` until that is known. */
  isPromised: (deployment: JudgedDeployment) => boolean | 'unknown' | undefined;
  /** Why it is not known which services have one. */
  objectivesError: string | undefined;
}

/** What is asked about a deployment: another one whenever the answer may be another. */
export function worstQuestion({ id, startTs, serviceName, endTs, verdict, score, rolledBackTs }: JudgedDeployment): string {
  return JSON.stringify([id, startTs, serviceName, endTs, verdict, score, rolledBackTs]);
}

type Asked = [id: string, startTs: number, serviceName: string];

export function useWorst(): Worst {
  const { answer: objectives, error: objectivesError } = useRequest('objectives', getObjectives);
  const promised = useMemo(() => objectives && new Set(objectives.map(({ serviceName }) => serviceName)), [objectives]);
  // Of services with objectives the whole report is asked for, and which those are has to be known first.
  const ready = promised !== undefined || objectivesError !== undefined;
  const ask = (question: string, signal: AbortSignal) => {
    const asked = JSON.parse(question) as Asked;
    return promised?.has(asked[2]) ? askReport(asked, signal) : askFindings(asked, signal);
  };
  const { known, want } = useFew<Findings>(promised ? 'objectives' : '', ask, AT_ONCE);
  // What was known before a verdict changed is shown until there is something newer.
  const last = useRef(new Map<string, Piece<Findings>>());
  const of = useCallback(
    (deployment: JudgedDeployment) => {
      const piece = known.get(worstQuestion(deployment)) ?? last.current.get(deployment.id);
      if (piece) last.current.set(deployment.id, piece);
      return piece && (piece.answer ?? { failed: true });
    },
    [known],
  );
  // Browsers tell in any order what has come into sight.
  const seen = useRef<string[]>([]);
  const wantInOrder = useCallback(
    (question: string) => {
      if (!ready || seen.current.push(question) > 1) return;
      setTimeout(() => {
        for (const one of newestFirst(seen.current.splice(0))) want(one);
      });
    },
    [want, ready],
  );
  const error = [...known.values()].find((piece) => piece.error !== undefined)?.error;
  const isPromised = ({ serviceName }: JudgedDeployment) => promised?.has(serviceName) ?? (objectivesError && 'unknown');
  return { of, want: wantInOrder, error, isPromised, objectivesError: objectivesError?.message };
}

/** In the order of the list. */
export function newestFirst(questions: readonly string[]): string[] {
  const begun = questions.map((question) => ({ question, startTs: (JSON.parse(question) as Asked)[1] }));
  return begun.sort((a, b) => b.startTs - a.startTs).map(({ question }) => question);
}

async function askFindings([id, startTs]: Asked, signal: AbortSignal): Promise<Findings> {
  const { body } = await getRegressions({ endTs: String(startTs), lookback: '1', limit: String(FINDINGS_MAX) }, signal);
  return { worst: worstFinding(body.filter(({ deployment }) => deployment.id === id)) };
}

async function askReport([id]: Asked, signal: AbortSignal): Promise<Findings> {
  const { findings, slo } = await getReport(id, signal);
  return { worst: worstFinding(findings), spent: spentOf(slo) };
}
