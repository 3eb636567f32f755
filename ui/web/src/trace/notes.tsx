/** What to know before reading a trace: clocks that differ, parents that are missing, what was left out. */
import { traceUrl } from '../api';
import { formatChange } from '../format';
import { SPANS_MAX } from './details';
import { brief } from './names';
import type { Loaded, TraceLoad } from './load';
import type { Tags } from './messages';
import { text } from './text';
import type { Note, TraceView } from './view';

interface Said {
  words: string;
  /** What can be done about it. */
  way?: 'read-tags' | 'download';
  /** The row that shows it. */
  row?: number;
}

interface Properties {
  load: TraceLoad;
  loaded: Loaded;
  /** It is on the server. */
  stored: boolean;
  goTo: (row: number) => void;
}

/** More than so many are folded away. */
const OPEN_MAX = 2;

export function Notes({ load, loaded, stored, goTo }: Properties) {
  const { view, missing } = loaded;
  const said = notesOf(view, missing, load.tags);
  if (said.length === 0) return null;
  const list = (
    <ul class="trace-note-list" aria-label={text.notes}>
      {said.map(({ words, row, way }) => (
        <li key={words}>
          {words}{' '}
          {row !== undefined && (
            <button type="button" class="trace-link" onClick={() => goTo(row)}>
              {text.show}
            </button>
          )}
          {way === 'read-tags' && (
            <button type="button" class="trace-link" onClick={load.readTags}>
              {load.tags?.state === 'failed' ? text.tryAgain : text.readTags}
            </button>
          )}
          {way === 'download' && stored && (
            <a href={traceUrl(view.traceId)} download={`${view.traceId}.json`}>
              {text.downloadJson}
            </a>
          )}
        </li>
      ))}
    </ul>
  );
  if (said.length <= OPEN_MAX) return <div class="note trace-notes">{list}</div>;
  return (
    <details class="note trace-notes">
      <summary>
        {text.noteCount(said.length)}: {said[0]?.words}
      </summary>
      {list}
    </details>
  );
}

/** One sentence a kind, the worst first. */
export function notesOf(view: TraceView, missing: string | null, tags: Tags | null = null): Said[] {
  const said: Said[] = [];
  const of = <Kind extends Note['kind']>(kind: Kind) => view.notes.filter((note): note is Extract<Note, { kind: Kind }> => note.kind === kind);
  if (missing !== null) said.push({ words: text.incomplete(missing) });
  for (const { total } of of('truncated')) said.push({ words: text.truncated(view.rows.count, total), way: 'download' });
  const tagsSaid = tags && tagsNote(tags, view.spanCount);
  if (tagsSaid) said.push(tagsSaid);
  const orphans = of('missing_parent');
  if (orphans[0]) said.push({ words: text.missingParents(orphans.length), row: orphans[0].row });
  const cycles = of('cycle');
  if (cycles[0]) said.push({ words: text.cycles(cycles.length), ...(cycles[0].row !== undefined && { row: cycles[0].row }) });
  const clocks = new Map(of('clock_skew').map((note) => [note.service ?? text.unknownService, note]));
  const [clock] = clocks;
  if (clock) {
    const [service, { microseconds, row }] = clock;
    const more = clocks.size > 1 ? ` ${text.skewMore(clocks.size - 1)}` : '';
    said.push({ words: text.skew(brief(service), formatChange(microseconds)) + more, row });
  }
  if (view.start === 0) said.push({ words: text.noTimes });
  return said;
}

/** Nothing where all were read; nor while those of a short trace are, which takes a moment. */
function tagsNote(tags: Tags, spans: number): Said | undefined {
  switch (tags.state) {
    case 'left':
      return { words: text.tagsLeft(spans), way: 'read-tags' };
    case 'reading':
      return spans > SPANS_MAX ? { words: text.readingTags } : undefined;
    case 'part':
      return { words: text.tagsPart(tags.spans, spans) };
    case 'failed':
      return { words: text.tagsFailed(tags.message), way: 'read-tags' };
    case 'whole':
      return undefined;
  }
}
