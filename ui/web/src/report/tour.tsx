/** Four steps through a report for who sees the first one: beside it, never in its way, and gone for good once ended. */
import { useEffect, useRef } from 'preact/hooks';

import type { Report } from '../api/schema';
import { useShortcuts } from '../keyboard';
import { changeParameters } from '../location';
import { changeSettings } from '../settings';
import { Link } from '../shell/link';
import { pairPath } from './links';
import { text } from './text';
import { STEPS, tourParameter } from './tour-step';
import './tour.css';

/** What of the page each step is about; `tour.css` marks the same. */
const SHOWN = ['.report-answer', '#panel-why', '#panel-proof', '.report-actions'] as const;

const shownAt = (step: number) => document.querySelector<HTMLElement>(SHOWN[step - 1] ?? 'main');

export function Tour({ report, step }: { report: Report; step: number }) {
  const card = useRef<HTMLElement>(null);
  const went = useRef(false);
  const go = (to: number) => {
    went.current = true;
    changeParameters(tourParameter(to));
  };
  const end = () => {
    // What has the focus goes away: who read with it reads on at what was told of.
    if (card.current?.contains(document.activeElement)) {
      const shown = shownAt(step);
      shown?.setAttribute('tabindex', '-1');
      shown?.focus({ preventScroll: true });
    }
    changeSettings({ toured: true });
    changeParameters(tourParameter(null));
  };
  useEffect(() => {
    if (went.current) shownAt(step)?.scrollIntoView();
  }, [step]);
  useShortcuts(text.tour.title, [{ keys: ['Escape'], text: text.tour.end, run: end }]);
  const told = STEPS[step - 1] ?? 'sentence';
  const isLast = step === STEPS.length;
  return (
    <section class="tour no-print" aria-label={text.tour.title} ref={card}>
      <div role="status">
        <p class="muted">{text.tour.step(step, STEPS.length)}</p>
        <h2>{text.tour.titles[told]}</h2>
        <p>{text.tour.told[told]}</p>
      </div>
      {told === 'diff' && <Pair report={report} />}
      <p class="tour-buttons">
        {step > 1 && (
          <button type="button" onClick={() => go(step - 1)}>
            {text.tour.back}
          </button>
        )}
        <button type="button" class="primary" onClick={isLast ? end : () => go(step + 1)}>
          {isLast ? text.tour.done : text.tour.next}
        </button>
        {!isLast && (
          <button type="button" class="quiet" onClick={end}>
            {text.tour.end}
          </button>
        )}
      </p>
    </section>
  );
}

/** The first pair of traces, where a finding has one. */
function Pair({ report }: { report: Report }) {
  const found = report.findings.find(({ exemplars }) => exemplars.baseline.length > 0 && exemplars.candidate.length > 0);
  const [a, b] = [found?.exemplars.baseline[0], found?.exemplars.candidate[0]];
  if (!a || !b) return null;
  return (
    <p>
      <Link path={pairPath(a, b)}>{text.tour.pair}</Link>
    </p>
  );
}
