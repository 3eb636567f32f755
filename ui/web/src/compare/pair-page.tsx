/** Two traces: which, in a sentence what differs, and the rows. */
import type { TraceDiff } from '../api/schema';
import { getTrace, getTraceDiff, type Span } from '../api';
import { formatChange, formatCount, formatDuration, formatShare } from '../format';
import { changeParameters, isTraceId, navigate, normalTraceId, pathOf } from '../location';
import { formatShareChange, operationName, unbroken } from '../report/names';
import { useRequest } from '../request';
import { Asked } from '../shell/asked';
import { Link } from '../shell/link';
import { Message } from '../shell/message';
import { unmatchedShare } from './pair-rows';
import { PairTable } from './pair-table';
import { Suggestions } from './suggestions';
import { text } from './text';

/** Above this share of spans without a counterpart, or of time that cannot be true, a warning is due. */
const UNMATCHED_MAX = 0.3;
const CUT_MAX = 0.1;

/** Operations in the sentence. */
const PARTS_MAX = 3;

interface Compared {
  diff: TraceDiff;
  a: Span[];
  b: Span[];
}

export function PairPage({ search }: { search: string }) {
  const parameters = new URLSearchParams(search);
  const [a, b] = [normalTraceId(parameters.get('a') ?? ''), normalTraceId(parameters.get('b') ?? '')];
  const known = isTraceId(a) && isTraceId(b);
  const request = useRequest(known ? `${a} ${b}` : null, (signal) => compared(a, b, signal));
  return (
    <>
      <PairForm key={`${a} ${b}`} a={a} b={b} />
      {!known && (
        <>
          <Message title={a === '' && b === '' ? text.choose : text.missing}>
            <p>{text.chooseWhy}</p>
            <p>
              <Link path="compare?service=">{text.otherWay}</Link>
            </p>
          </Message>
          {isTraceId(a) && <Suggestions traceId={a} parameter="b" />}
          {isTraceId(b) && <Suggestions traceId={b} parameter="a" />}
        </>
      )}
      {known && (
        <Asked request={request}>
          {({ diff, a: spansA, b: spansB }) => (
            <>
              <Sentence diff={diff} />
              <PairTable diff={diff} a={spansA} b={spansB} search={search} />
            </>
          )}
        </Asked>
      )}
    </>
  );
}

async function compared(a: string, b: string, signal: AbortSignal): Promise<Compared> {
  const [diff, spansA, spansB] = await Promise.all([getTraceDiff(a, b, signal), getTrace(a, signal), getTrace(b, signal)]);
  return { diff, a: spansA, b: spansB };
}

function PairForm({ a, b }: { a: string; b: string }) {
  const submit = (event: Event) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget as HTMLFormElement);
    const id = (name: string) => normalTraceId(String(data.get(name) ?? ''));
    navigate(`compare?${new URLSearchParams({ a: id('a'), b: id('b') })}`);
  };
  return (
    <form class="compare-pair" onSubmit={submit}>
      <TraceField name="a" label={text.before} value={a} />
      <TraceField name="b" label={text.after} value={b} />
      <button type="submit" class="primary">
        {text.compare}
      </button>
      <button type="button" onClick={() => changeParameters({ a: b, b: a, open: null }, 'push')}>
        {text.swap}
      </button>
    </form>
  );
}

function TraceField({ name, label, value }: { name: string; label: string; value: string }) {
  const wrong = value !== '' && !isTraceId(value);
  return (
    <label class={`compare-field compare-${name}`}>
      <span class="compare-side">{label}</span>
      <input name={name} defaultValue={value} placeholder={text.traceId} aria-invalid={wrong} spellcheck={false} autocomplete="off" />
    </label>
  );
}

function Sentence({ diff }: { diff: TraceDiff }) {
  const { baseline, candidate, change, operations } = diff;
  const before = baseline.duration ?? 0;
  const share = before > 0 ? text.byShare(formatShareChange(change / before)) : '';
  const by = formatDuration(Math.abs(change));
  const lead = change === 0 ? text.same : change > 0 ? text.longer(by, share) : text.shorter(by, share);
  const parts = operations.filter(({ pathTimeChange }) => pathTimeChange !== 0).slice(0, PARTS_MAX);
  const told = parts.map((operation) => `${operationName(operation)} ${formatChange(operation.pathTimeChange)}`).join(', ');
  const unmatched = unmatchedShare(diff);
  const cut = [baseline, candidate].filter(({ cutMicros, duration }) => cutMicros > CUT_MAX * (duration ?? 0));
  return (
    <section class="compare-answer">
      <p class="compare-lead">{unbroken(lead)}</p>
      <p>{unbroken(parts.length === 0 ? text.pathNothing : text.path(told))}</p>
      <ul class="compare-sides">
        {([['a', baseline], ['b', candidate]] as const).map(([name, side]) => (
          <li key={name} class={`compare-${name}`}>
            <span class="compare-side">{text[name]}</span> <Link path={pathOf('traces', side.traceId)} class="compare-trace">{side.traceId}</Link>{' '}
            {text.side(formatDuration(side.duration ?? undefined), formatCount(side.spanCount, 'span'))}
          </li>
        ))}
      </ul>
      {unmatched > UNMATCHED_MAX && <p class="note">{text.unmatched(formatShare(unmatched))}</p>}
      {cut.map(({ traceId, cutMicros }) => (
        <p key={traceId} class="note">
          {text.cut(formatDuration(cutMicros))}
        </p>
      ))}
    </section>
  );
}
