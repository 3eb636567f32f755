/** An empty list has reasons, and each another way out: no span ever came, or the conditions are too narrow. */
import { formatClock } from '../format';
import { Message } from '../shell/message';
import { type Outcome, useOutcomes } from './conditions';
import { hasConditions, type SearchQuery, widened, windowOf } from './query';
import { text } from './text';

/** Says how a span is sent, by a command that can be pasted. */
export function NoData() {
  // The collector is beside the UI's base, whatever a proxy put before both.
  const collector = new URL('../api/v2/spans', document.baseURI).href;
  const command = `curl -X POST ${collector} -H 'content-type: application/json' -d '[{
  "traceId": "463ac35c9f6413ad", "id": "463ac35c9f6413ad", "kind": "SERVER",
  "name": "get /hello", "timestamp": '$(date +%s)'000000, "duration": 25000,
  "localEndpoint": {"serviceName": "my-service"}
}]'`;
  return (
    <Message title={text.noSpans}>
      <p>{text.noSpansWhy}</p>
      <pre tabIndex={0}>
        <code>{command}</code>
      </pre>
      <p>{text.noSpansDemo}</p>
      <pre tabIndex={0}>
        <code>{DEMO}</code>
      </pre>
      <p class="muted" role="status">
        <span class="pulse" aria-hidden="true" /> {text.waiting}
      </p>
    </Message>
  );
}

const DEMO = 'tracehound demo';

interface NoMatchProperties {
  query: SearchQuery;
  versionTag: string;
  /** Why something that matches may not have been found. */
  missing: string | null;
  onSearch: (query: SearchQuery) => void;
}

const WORDS: Record<Outcome, string> = {
  asking: text.asking,
  found: text.matchesWithout,
  none: text.noneWithout,
  failed: text.notAsked,
};

/** Says what was asked, which condition removes everything, and offers to drop each. */
export function NoMatch({ query, versionTag, missing, onSearch }: NoMatchProperties) {
  const now = Date.now();
  const { startTs, endTs } = windowOf(query, now);
  const { conditions, outcomes } = useOutcomes(query, versionTag);
  const clock = (ms: number) => formatClock(ms, new Date(now));
  const window = text.window(clock(startTs), query.endTs === null ? text.now : clock(endTs));
  return (
    <Message title={text.noMatch}>
      <p>{hasConditions(query) ? text.noneMatches(window) : text.noneRecorded(window)}</p>
      {missing !== null && <p class="note">{text.partial(missing)}</p>}
      {conditions.length > 0 && <p>{text.whichCondition}</p>}
      {conditions.length > 0 && (
        <ul class="conditions" aria-live="polite">
          {conditions.map(({ field, value, without }, index) => {
            const outcome = outcomes[index] ?? 'asking';
            return (
              <li key={`${field} ${value}`} class={`condition-${outcome}`}>
                <button type="button" onClick={() => onSearch(without)}>
                  <span>
                    {field === null ? text.withoutAny : text.without(text.conditionNames[field])}{' '}
                    {value !== '' && <q>{value.slice(0, 100)}</q>}
                  </span>
                </button>
                <span>{WORDS[outcome]}</span>
              </li>
            );
          })}
        </ul>
      )}
      {query.lookback !== '7d' && (
        <button type="button" onClick={() => onSearch(widened(query))}>
          {text.lastWeek}
        </button>
      )}
    </Message>
  );
}
