/**
 * The worst finding of each deployment of a list. Each may be an analysis: they are asked for one by one, of rows that
 * come into sight, so that the first are there at once and who opens a report does not wait for all the others.
 */
import { useCallback, useRef } from 'preact/hooks';

import { getRegressions } from '../api';
import type { JudgedDeployment, Regression } from '../api/schema';
import { type Piece, useFew } from '../few';
import { type Findings, worstFindings } from './question';

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
}

/** What is asked about a deployment: another one whenever the answer may be another. */
export function worstQuestion({ id, startTs, endTs, verdict, score, rolledBackTs }: JudgedDeployment): string {
  return JSON.stringify([id, startTs, endTs, verdict, score, rolledBackTs]);
}

export function useWorst(): Worst {
  const { known, want } = useFew<Findings>('', askOne, AT_ONCE);
  // What was known before a verdict changed is shown until there is something newer.
  const last = useRef(new Map<string, Piece<Findings>>());
  const of = useCallback(
    (deployment: JudgedDeployment) => {
      const piece = known.get(worstQuestion(deployment)) ?? last.current.get(deployment.id);
      if (piece) last.current.set(deployment.id, piece);
      return piece && (piece.answer ?? {});
    },
    [known],
  );
  // Browsers tell in any order what has come into sight.
  const seen = useRef<string[]>([]);
  const wantInOrder = useCallback(
    (question: string) => {
      if (seen.current.push(question) > 1) return;
      setTimeout(() => {
        for (const one of newestFirst(seen.current.splice(0))) want(one);
      });
    },
    [want],
  );
  const error = [...known.values()].find((piece) => piece.error !== undefined)?.error;
  return { of, want: wantInOrder, error };
}

/** In the order of the list. */
export function newestFirst(questions: readonly string[]): string[] {
  const begun = questions.map((question) => ({ question, startTs: (JSON.parse(question) as [string, number])[1] }));
  return begun.sort((a, b) => b.startTs - a.startTs).map(({ question }) => question);
}

async function askOne(question: string, signal: AbortSignal): Promise<Findings> {
  const [id, startTs] = JSON.parse(question) as [string, number];
  const { body } = await getRegressions({ endTs: String(startTs), lookback: '1', limit: String(FINDINGS_MAX) }, signal);
  const worst: Regression | undefined = worstFindings(body).get(id);
  return worst ? { worst } : {};
}
