/** In the table of operations: how long each usually takes in the version that was called, and where the longest call is among that. */
import { useCallback } from 'preact/hooks';

import type { LatencyChart } from '../api/schema';
import { type Piece, useFew } from '../few';
import { formatDuration } from '../format';
import { Seen } from '../shell/seen';
import { versionOf } from './names';
import type { Operation } from './operations';
import { text } from './text';
import { type Usual, usualOfVersion } from './usual-figures';
import { usualQuestion } from './usual-question';
import type { TraceView } from './view';

export interface UsualAnswers {
  known: ReadonlyMap<string, Piece<LatencyChart>>;
  onSeen: (row: string) => void;
}

/** Answers by the row of an operation's longest call: one question an operation that comes into sight, a few at a time. */
export function useUsual(view: TraceView): UsualAnswers {
  const { known, want } = useFew(`${view.traceId} ${view.start}`, async (row, signal) => {
    const question = usualQuestion(view, Number(row));
    return question ? (await question.ask(signal)).body : NOTHING;
  });
  return { known, onSeen: useCallback((row) => want(row), [want]) };
}

const NOTHING: LatencyChart = { serviceName: '', startTs: 0, endTs: 0, step: 0, side: 'server', series: [] };

/** One in ten is above the p90: that is nothing to look at. */
function isSlow({ above }: Usual): boolean {
  return above === 'p95' || above === 'p99';
}

interface Properties {
  view: TraceView;
  operation: Operation;
  answers: UsualAnswers;
}

export function UsualCell({ view, operation: { slowest, longest }, answers: { known, onSeen } }: Properties) {
  const row = String(slowest);
  const piece = known.get(row);
  const version = versionOf(view, slowest);
  const usual = piece?.answer && usualOfVersion(piece.answer, longest, version);
  return (
    <Seen name={row} onSeen={onSeen}>
      {!piece && <span class="muted">{text.usualWaiting}</span>}
      {piece?.error !== undefined && (
        <span class="muted" title={piece.error}>
          {text.usualFailed}
        </span>
      )}
      {piece?.answer && !usual && <span class="muted">–</span>}
      {usual && (
        <span title={text.usualOf(usual.count, usual.version)}>
          {formatDuration(usual.p50)} <span class="muted">{text.usualP95(formatDuration(usual.p95))}</span>
          {isSlow(usual) && <span class="trace-above">{text.longestAbove(usual.above ?? '')}</span>}
        </span>
      )}
    </Seen>
  );
}
