/**
 * Loads a trace beside the page: reads the answer, makes columns of it, and finds text. The page stays usable however
 * long the trace is.
 */
import { ApiError, missingOf, send } from '../api/http';
import type { Span } from '../api';
import { DetailsReader, SPANS_MAX } from './details';
import { bodyOf } from './file-body';
import { readFile, spansIn } from './file-spans';
import { findRows } from './find';
import { groupBuffers, groupsOf } from './groups';
import { readItems } from './json-items';
import type { Question, Source, Told } from './messages';
import { buffersOf, decodeView, type TraceView, type TraceViewAnswer } from './view';

let view: TraceView | null = null;
let texts: string[] | null = null;
let wanted = '';
let file: Blob | null = null;
let spansUrl: string | undefined;
let isReading = false;

function tell(told: Told, transfer: Transferable[] = []): void {
  self.postMessage(told, { transfer });
}

async function load(source: Source): Promise<void> {
  try {
    const sent = source.file && (await bodyOf(source.file));
    file = sent?.body ?? null;
    const response = await send(source.url, sent ? { method: 'POST', ...sent } : {});
    const missing = missingOf(response.headers.get('tracehound-completeness'));
    const answer = (await response.json()) as TraceViewAnswer;
    view = decodeView(answer);
    const groups = groupsOf(view.rows);
    // The page gets the columns; what is kept here is a copy.
    const given = structuredClone(view);
    tell({ kind: 'loaded', view: given, groups, missing }, [...buffersOf(given), ...groupBuffers(groups)]);
  } catch (error) {
    const status = error instanceof ApiError ? error.status : 0;
    tell({ kind: 'failed', status, message: error instanceof Error ? error.message : String(error) });
    return;
  }
  spansUrl = source.spansUrl;
  if (!spansUrl) return;
  if (view.spanCount <= SPANS_MAX) await readTags();
  else tell({ kind: 'tags', tags: { state: 'left' } });
}

/** Nothing of the page waits for it: where it fails, tags are not found and annotations have no marks. */
async function readTags(): Promise<void> {
  if (!view || !spansUrl || isReading) return;
  isReading = true;
  tell({ kind: 'tags', tags: { state: 'reading' } });
  try {
    const { body } = await send(spansUrl, {});
    if (!body) throw new Error('The answer is empty.');
    const reader = new DetailsReader(view);
    const isWhole = await readItems<Span>(body, (span) => reader.take(span));
    texts = reader.texts;
    tell({ kind: 'marked', marks: reader.marks(), tags: isWhole ? { state: 'whole' } : { state: 'part', spans: reader.spans } });
    if (wanted !== '') find(wanted);
  } catch (error) {
    tell({ kind: 'tags', tags: { state: 'failed', message: error instanceof Error ? error.message : String(error) } });
  } finally {
    isReading = false;
  }
}

function find(text: string): void {
  wanted = text;
  if (!view) return;
  const rows = findRows(view, texts, text);
  tell({ kind: 'found', text, rows }, [rows.buffer as ArrayBuffer]);
}

/** The file is read again every time: it may be large, and details are looked at one by one. */
async function details(number: number, spanId: string): Promise<void> {
  try {
    if (!file) throw new Error('There is no file.');
    tell({ kind: 'detailed', number, found: spansIn(await readFile(file), spanId) });
  } catch (error) {
    tell({ kind: 'undetailed', number, message: error instanceof Error ? error.message : String(error) });
  }
}

self.onmessage = ({ data }: MessageEvent<Question>) => {
  if (data.kind === 'load') void load(data.source);
  else if (data.kind === 'tags') void readTags();
  else if (data.kind === 'details') void details(data.number, data.spanId);
  else find(data.text);
};
