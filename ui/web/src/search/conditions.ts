/** The conditions of a query one by one, and which of them removes everything: the server is asked without each. */
import { useEffect, useState } from 'preact/hooks';

import { getTraceSummaries } from '../api';
import { apiParameters, type SearchQuery, TEXT_FIELDS, termsOf, type TextField } from './query';

export interface Condition {
  /** `null` for all of them. */
  field: TextField | null;
  value: string;
  without: SearchQuery;
}

/** What is known of a query without a condition: how it goes on, and that it could not be asked. */
export type Outcome = 'asking' | 'found' | 'none' | 'failed';

/** Further conditions are not asked for: each is a question to a server that just found nothing. */
const ASKED_MAX = 8;

/** Each, and where there are more than one, all of them at once. */
export function conditionsOf(query: SearchQuery): Condition[] {
  const conditions = TEXT_FIELDS.flatMap((field): Condition[] => {
    if (query[field] === '') return [];
    if (field !== 'annotationQuery') return [{ field, value: query[field], without: { ...query, [field]: '' } }];
    const terms = termsOf(query.annotationQuery);
    return terms.map((value, at) => {
      const others = terms.filter((_, index) => index !== at).join(' and ');
      return { field, value, without: { ...query, annotationQuery: others } };
    });
  }).slice(0, ASKED_MAX);
  if (conditions.length < 2) return conditions;
  const without = { ...query, ...Object.fromEntries(TEXT_FIELDS.map((field) => [field, ''])) };
  return [...conditions, { field: null, value: '', without }];
}

/** One question after another, each for a single trace. */
export function useOutcomes(query: SearchQuery, versionTag: string): { conditions: Condition[]; outcomes: Outcome[] } {
  const key = JSON.stringify(query);
  const [state, setState] = useState<{ of: string; outcomes: Outcome[] }>({ of: key, outcomes: [] });
  const conditions = conditionsOf(query);
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const known: Outcome[] = [];
    const ask = async () => {
      for (const { without } of conditions) {
        const parameters = apiParameters({ ...without, limit: 1, sort: 'newest' }, Date.now(), versionTag);
        const outcome = await getTraceSummaries(parameters, signal).then(
          ({ traces }): Outcome => (traces.length > 0 ? 'found' : 'none'),
          (): Outcome => 'failed',
        );
        if (signal.aborted) return;
        known.push(outcome);
        setState({ of: key, outcomes: [...known] });
      }
    };
    void ask();
    return () => controller.abort();
  }, [key, versionTag]);
  const outcomes = state.of === key ? state.outcomes : [];
  return { conditions, outcomes: conditions.map((_, index) => outcomes[index] ?? 'asking') };
}
