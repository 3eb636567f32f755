/** What the page and its worker say to each other. */
import type { Marks } from './details';
import type { FileSpans } from './file-spans';
import type { Groups } from './groups';
import type { TraceView } from './view';

/** Where a trace comes from: the server, or a file that the server reads without keeping it. */
export interface Source {
  /** Absolute. */
  url: string;
  /** Sent; absent where the trace is stored. */
  file?: Blob;
  /** Where its spans are as they are stored; absent where they are not. */
  spansUrl?: string;
}

/** How far tags and annotations are read. */
export type Tags =
  | { state: 'left' | 'reading' | 'whole' }
  /** Of so many spans; more would take too much memory. */
  | { state: 'part'; spans: number }
  | { state: 'failed'; message: string };

export type Question =
  | { kind: 'load'; source: Source }
  | { kind: 'find'; text: string }
  /** Reads tags and annotations of a trace that has too many spans to be read whole unasked. */
  | { kind: 'tags' }
  /** What the file has of a span; `number` comes back with the answer. */
  | { kind: 'details'; number: number; spanId: string };

export type Told =
  | { kind: 'loaded'; view: TraceView; groups: Groups; missing: string | null }
  | { kind: 'failed'; status: number; message: string }
  | { kind: 'marked'; marks: Marks; tags: Tags }
  | { kind: 'tags'; tags: Tags }
  | { kind: 'detailed'; number: number; found: FileSpans }
  | { kind: 'undetailed'; number: number; message: string }
  | { kind: 'found'; text: string; rows: Int32Array };
