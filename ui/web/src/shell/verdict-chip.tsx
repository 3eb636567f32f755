/**
 * What became of a deployment, and what to do about it, as chips: a shape, a word and, where there is one, the score.
 * The shape and the word tell it without the colour.
 */
import type { ComponentChildren } from 'preact';

import type { Decision, Verdict } from '../api/schema';
import { formatScore } from '../format';
import { type Standing, standingOf } from '../rollouts';
import { text } from './text';
import './verdict-chip.css';

type Shape = 'cross' | 'check' | 'half' | 'question' | 'arrow' | 'ring';

interface Look {
  shape: Shape;
  tone: 'fail' | 'pass' | 'marginal' | 'unknown';
}

const STANDINGS: Record<Standing, Look> = {
  fail: { shape: 'cross', tone: 'fail' },
  marginal: { shape: 'half', tone: 'marginal' },
  pass: { shape: 'check', tone: 'pass' },
  insufficient_data: { shape: 'question', tone: 'unknown' },
  pending: { shape: 'ring', tone: 'unknown' },
};

const CHANGES: Record<Verdict, Look> = {
  regressed: { shape: 'cross', tone: 'fail' },
  improved: { shape: 'arrow', tone: 'pass' },
  unchanged: { shape: 'check', tone: 'pass' },
  insufficient_data: { shape: 'question', tone: 'unknown' },
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
  /** Of a rollout that goes on: how many instances have switched, of how many. */
  wave?: { switched: number; all: number };
  /** Of the one answer that a page is about. */
  large?: boolean;
}

/** How a deployment stands. Where that is not all that was found, as of one that improved, that is said too. */
export function VerdictChip({ verdict, score, running = false, wave, large = false }: VerdictProperties) {
  const standing = standingOf(verdict, score);
  // A rollout that goes on without a verdict is not one that failed to get any.
  if (running && (standing === 'pending' || standing === 'insufficient_data')) {
    const part = wave && wave.switched < wave.all ? `${wave.switched}/${wave.all}` : '';
    return (
      <Chip look={{ shape: 'half', tone: 'marginal' }} large={large}>
        {text.running(part)}
      </Chip>
    );
  }
  const isPlain = (standing === 'fail' && verdict === 'regressed') || (standing === 'pass' && verdict === 'unchanged');
  const more = [verdict && !isPlain ? text.found[verdict] : '', running ? text.soFar : ''].filter(Boolean).join(', ');
  const look = standing === 'pass' && verdict === 'improved' ? CHANGES.improved : STANDINGS[standing];
  return (
    <Chip look={look} large={large}>
      {text.standings[standing]}
      {score != null && <span class="chip-score">{formatScore(score)}</span>}
      {more && <span class="chip-more">{more}</span>}
    </Chip>
  );
}

/** How one side of a comparison differs from the other, where neither has to pass. */
export function ChangeChip({ verdict }: { verdict: Verdict }) {
  return <Chip look={CHANGES[verdict] ?? CHANGES.insufficient_data}>{text.verdicts[verdict] ?? verdict}</Chip>;
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
