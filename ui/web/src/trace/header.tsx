/** What a trace is, and what can be done with it. */
import { useMemo, useState } from 'preact/hooks';

import { getTrace, traceUrl, type UiConfig } from '../api';
import { formatDuration, formatExact, formatInstant } from '../format';
import { announce } from '../shell/announcer';
import { copyText } from '../shell/copy-button';
import { Link } from '../shell/link';
import { copyLink } from '../shell/shortcuts';
import { archive, failedRows, filled, linkValues, markdownOf } from './export';
import { at } from './groups';
import { nameOf, serviceOf } from './names';
import { Fact } from './span-details';
import { text } from './text';
import type { TraceView } from './view';

interface Properties {
  config: UiConfig;
  view: TraceView;
  /** Of a file, which is not on the server. */
  fileName?: string;
}

export function TraceHeader({ config, view, fileName }: Properties) {
  const { rows, traceId } = view;
  const failed = useMemo(() => failedRows(view), [view]);
  const depth = useMemo(() => rows.depth.reduce((most, depth) => Math.max(most, depth + 1), 0), [view]);
  const merged = view.notes.find((note) => note.kind === 'merged');
  return (
    <header class="trace-header">
      <h1>
        {rows.count > 0 && (
          <>
            <bdi>{serviceOf(view, 0).slice(0, 500)}</bdi> <bdi class="trace-name">{nameOf(view, 0).slice(0, 500)}</bdi>
          </>
        )}
      </h1>
      <Actions config={config} view={view} stored={fileName === undefined} />
      <dl class="trace-facts">
        <Fact term={text.duration} title={formatExact(view.duration)}>
          {view.start === 0 ? '–' : formatDuration(view.duration)}
        </Fact>
        <Fact term={text.start}>{view.start === 0 ? '–' : formatInstant(view.start)}</Fact>
        <Fact term={text.spans}>{view.spanCount.toLocaleString('en')}</Fact>
        <Fact term={text.services}>{view.services.length.toLocaleString('en')}</Fact>
        <Fact term={text.depth}>{depth.toLocaleString('en')}</Fact>
        <Fact term={text.traceId}>
          <code>{traceId}</code>
        </Fact>
        {merged && (
          <Fact term={text.mergedRows} title={text.merged(merged.rows)}>
            {merged.rows.toLocaleString('en')}
          </Fact>
        )}
        {failed > 0 && <Failed count={failed} />}
        {fileName !== undefined && <Fact term={text.fileOf('')}>{fileName}</Fact>}
      </dl>
    </header>
  );
}

function Failed({ count }: { count: number }) {
  return (
    <div class="trace-fact error-note">
      <dt class="visually-hidden">{text.errorCount}</dt>
      <dd>✖ {text.failedCalls(count)}</dd>
    </div>
  );
}

function Actions({ config, view, stored }: { config: UiConfig; view: TraceView; stored: boolean }) {
  const { traceId } = view;
  const values = linkValues(view, at(view.rows.parent, 0) === -1 ? 0 : -1);
  const logs = filled(config.logsUrl, { ...values, spanId: '' });
  return (
    <div class="trace-actions" role="group" aria-label={text.actions}>
      {stored && (
        <Link class="button" path={`compare?a=${traceId}`}>
          {text.compare}
        </Link>
      )}
      {stored && (
        <button type="button" onClick={() => void copyLink()}>
          {text.copyLink}
        </button>
      )}
      <button type="button" onClick={() => void copyText(markdownOf(view, location.href), text.markdownCopied)}>
        {text.copyMarkdown}
      </button>
      {stored && (
        <a class="button" href={traceUrl(traceId)} download={`${traceId}.json`}>
          {text.downloadJson}
        </a>
      )}
      {logs !== null && (
        <a class="button" href={logs} target="_blank" rel="noreferrer">
          {text.logs}
        </a>
      )}
      {stored && config.archivePostUrl && <Archive config={config} view={view} postUrl={config.archivePostUrl} />}
    </div>
  );
}

/** Sends the trace to the archive, and then leads there. */
function Archive({ config, view, postUrl }: { config: UiConfig; view: TraceView; postUrl: string }) {
  const [state, setState] = useState<'here' | 'sending' | 'kept'>('here');
  const [failure, setFailure] = useState<string | null>(null);
  const send = async () => {
    setState('sending');
    setFailure(null);
    try {
      await archive(await getTrace(view.traceId, new AbortController().signal), postUrl);
      setState('kept');
      announce(text.archived);
    } catch (error) {
      setState('here');
      setFailure(text.notArchived(error instanceof Error ? error.message : String(error)));
    }
  };
  const kept = filled(config.archiveUrl, linkValues(view, -1));
  if (state === 'kept' && kept !== null) {
    return (
      <a class="button" href={kept} target="_blank" rel="noreferrer">
        {text.seeArchived}
      </a>
    );
  }
  return (
    <>
      <button type="button" disabled={state !== 'here'} onClick={() => void send()}>
        {state === 'sending' ? text.archiving : text.archive}
      </button>
      {failure !== null && (
        <span class="field-error" role="alert">
          {failure}
        </span>
      )}
    </>
  );
}
