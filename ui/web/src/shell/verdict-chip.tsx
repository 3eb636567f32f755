/**
 * What became of a deployment, and what to do about it, as chips: a shape, a word and, where there is one, the score.
 * The shape and the word tell it without the colour.
 */
import type { ComponentChildren } from 'preact';

import type { Decision, Verdict } from '../api/schema';
import { formatScore } from '../format';
import { text } from './text';
import './verdict-chip.css';

/** `pending`: nobody has looked yet. `running`: it still goes on, and the verdict may change. */
export type ChipVerdict = Verdict | 'pending';

type Shape = 'cross' | 'check' | 'half' | 'question' | 'arrow' | 'ring';

interface Look {
  shape: Shape;
  tone: 'fail' | 'pass' | 'marginal' | 'unknown';
}

const VERDICTS: Record<ChipVerdict, Look> = {
  regressed: { shape: 'cross', tone: 'fail' },
  improved: { shape: 'arrow', tone: 'pass' },
  unchanged: { shape: 'check', tone: 'pass' },
  insufficient_data: { shape: 'question', tone: 'unknown' },
  pending: { shape: 'ring', tone: 'unknown' },
};

const DECISIONS: Record<Decision, Look> = {
  rollback: { shape: 'cross', tone: 'fail' },
  continue: { shape: 'check', tone: 'pass' },
  wait: { shape: 'half', tone: 'marginal' },
};

/** Drawn on 16 by 16. */
const PATHS: Record<Shape, string> = {
  cross: 'M4 4l8 8M12 4l-8 8',
  check: 'M3 8.5l3.5 3.5L13 4.5',
  half: 'M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z',
  question: 'M5 6a3 3 0 1 1 4.2 2.7C8.3 9.2 8 9.6 8 10.5M8 13.4v.2',
  arrow: 'M8 13V4M4 8l4-4.5L12 8',
  ring: 'M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11z',
};

const FILLED_HALF = 'M8 2.5a5.5 5.5 0 1 0 0 11z';

interface VerdictProperties {
  verdict: Verdict | null | undefined;
  /** 0 to 100; absent without enough data. */
  score?: number | null | undefined;
  /** The rollout still goes on: what is said may change. */
  running?: boolean;
  /** Of the one answer that a page is about. */
  large?: boolean;
}

export function VerdictChip({ verdict, score, running = false, large = false }: VerdictProperties) {
  const known = verdict ?? 'pending';
  // A rollout that goes on without a verdict is not one that failed to get any.
  const early = running && (known === 'pending' || known === 'insufficient_data');
  const look: Look = early ? { shape: 'half', tone: 'marginal' } : (VERDICTS[known] ?? VERDICTS.pending);
  const words = early ? text.running : (text.verdicts[known] ?? known);
  return (
    <Chip look={look} large={large}>
      {words}
      {running && !early && <span class="chip-more">{text.soFar}</span>}
      {score != null && !early && <span class="chip-score">{formatScore(score)}</span>}
    </Chip>
  );
}

export function DecisionChip({ decision }: { decision: Decision }) {
  return <Chip look={DECISIONS[decision] ?? DECISIONS.wait}>{text.decisions[decision] ?? decision}</Chip>;
}

interface ChipProperties {
  look: Look;
  large?: boolean;
  children: ComponentChildren;
}

function Chip({ look, large, children }: ChipProperties) {
  return (
    <span class={`chip chip-${look.tone} ${large ? 'chip-large' : ''}`}>
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d={PATHS[look.shape]} />
        {look.shape === 'half' && <path class="chip-filled" d={FILLED_HALF} />}
      </svg>
      {children}
    </span>
  );
}
