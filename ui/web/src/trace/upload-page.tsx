/** A trace from a file: dropped or chosen, read by the server, and kept nowhere. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { uploadUrl, type UiConfig } from '../api';
import { Message } from '../shell/message';
import { type Loaded, type TraceLoad, useTraceLoad } from './load';
import type { SpanSource } from './span-request';
import { text } from './text';
import { TraceShown } from './trace-view';
import { rowOf } from './view';

interface Properties {
  config: UiConfig;
  search: string;
}

/** What was chosen; another file of the same name is another one. */
interface Chosen {
  file: File;
  number: number;
  traceId: string | null;
}

export function UploadPage({ config, search }: Properties) {
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const choose = (file: File) => setChosen((before) => ({ file, number: (before?.number ?? 0) + 1, traceId: null }));
  const key = chosen && `${chosen.number} ${chosen.traceId}`;
  const load = useTraceLoad(key, () => ({ url: uploadUrl(chosen?.traceId ?? null), ...(chosen && { file: chosen.file }) }));
  const [listed, setListed] = useState<Loaded | null>(null);
  useEffect(() => {
    if (load.loaded) setListed(load.loaded);
  }, [load.loaded]);
  useEffect(() => {
    if (!load.loaded) document.title = text.titleOf(text.upload);
  }, [load.loaded]);
  if (!chosen || load.error) {
    return (
      <main class="page">
        <h1>{text.upload}</h1>
        {chosen && load.error && (
          <Message title={text.notRead(chosen.file.name)} tone="error">
            <p>{load.error.message}</p>
          </Message>
        )}
        <DropZone onFile={choose} />
      </main>
    );
  }
  const { file, number } = chosen;
  const ids = (load.loaded ?? listed)?.view;
  return (
    <div class="trace-upload">
      <section class="trace-upload-bar" aria-label={text.file}>
        <strong>{file.name}</strong>
        {ids && ids.traceIds.length > 1 && (
          <TraceChoice
            ids={ids.traceIds}
            count={ids.traceCount}
            traceId={load.loaded?.view.traceId ?? chosen.traceId}
            onChoose={(traceId) => setChosen({ ...chosen, traceId })}
          />
        )}
        <button type="button" onClick={() => setChosen(null)}>
          {text.anotherFile}
        </button>
      </section>
      {load.loaded ? (
        <TraceShown
          key={load.loaded.view.traceId}
          config={config}
          load={load}
          loaded={load.loaded}
          search={search}
          fileName={file.name}
          source={sourceOf(load, load.loaded, number)}
        />
      ) : (
        <main class="page">
          <h1>{text.upload}</h1>
          <p class="muted" role="status">
            {text.loadingFile}
          </p>
        </main>
      )}
    </div>
  );
}

function sourceOf({ fileSpans }: TraceLoad, { view }: Loaded, number: number): SpanSource {
  const ask = async (spanId: string) => {
    const skew = view.rows.skew[rowOf(view.rows, spanId)] ?? 0;
    const { spans: all, others } = await fileSpans(spanId);
    const spans = all.filter(({ traceId }) => sameTrace(traceId, view.traceId));
    return { spans, others, skew, skews: spans.map(() => skew) };
  };
  return { key: `${number} ${view.traceId}`, stored: false, ask };
}

/** A file may have the identifiers of one trace with and without its first half. */
function sameTrace(a: string, b: string): boolean {
  return a.slice(-16).padStart(16, '0').toLowerCase() === b.slice(-16).padStart(16, '0').toLowerCase();
}

interface ChoiceProperties {
  ids: readonly string[];
  count: number;
  traceId: string | null;
  onChoose: (traceId: string) => void;
}

function TraceChoice({ ids, count, traceId, onChoose }: ChoiceProperties) {
  return (
    <label>
      {text.chooseTrace}{' '}
      <select value={traceId ?? ''} onChange={(event) => onChoose((event.currentTarget as HTMLSelectElement).value)}>
        {ids.map((id) => (
          <option key={id} value={id}>
            {id}
          </option>
        ))}
      </select>
      {count > ids.length && <span class="muted"> {text.chooseTraceMore(ids.length, count)}</span>}
    </label>
  );
}

function DropZone({ onFile }: { onFile: (file: File) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const take = (files: FileList | null | undefined) => {
    const [file] = files ?? [];
    if (file) onFile(file);
  };
  const onDragOver = (event: DragEvent) => {
    event.preventDefault();
    setOver(true);
  };
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer?.files);
  };
  return (
    <section class={`trace-drop ${over ? 'over' : ''}`} onDragOver={onDragOver} onDragLeave={() => setOver(false)} onDrop={onDrop}>
      <p>{text.uploadWhat}</p>
      <p>
        <button type="button" class="primary" onClick={() => input.current?.click()}>
          {text.chooseFile}
        </button>{' '}
        {text.dropFile}
      </p>
      <input
        ref={input}
        class="visually-hidden"
        type="file"
        aria-label={text.chooseFile}
        tabIndex={-1}
        onChange={(event) => take((event.currentTarget as HTMLInputElement).files)}
      />
    </section>
  );
}
