/** Two traces, or two groups of traces, laid on each other. */
import { useEffect } from 'preact/hooks';

import type { PageProperties } from '../app';
import { useSettings } from '../settings';
import { CohortPage } from './cohort-page';
import { PairPage } from './pair-page';
import { text } from './text';
import './compare.css';

export default function ComparePage({ search }: PageProperties) {
  useSettings();
  useEffect(() => {
    document.title = `${text.title} · Tracehound`;
  }, []);
  const isCohort = new URLSearchParams(search).has('service');
  return (
    <main class="page compare">
      <h1>{isCohort ? text.cohortTitle : text.pairTitle}</h1>
      {isCohort ? <CohortPage search={search} /> : <PairPage search={search} />}
    </main>
  );
}
