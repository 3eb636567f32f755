/** Asks the worker for a trace, and for text in it. */
import { useEffect, useRef, useState } from 'preact/hooks';

import { ApiError } from '../api';
import type { Marks } from './details';
import type { FileSpans } from './file-spans';
import type { Groups } from './groups';
import type { Question, Source, Tags, Told } from './messages';
import type { TraceView } from './view';

/** Sooner than this a sign of waiting only flickers. */
const SLOW_MS = 150;

export interface Found {
  text: string;
  /** In order. */
  rows: Int32Array;
}

export interface Loaded {
  view: TraceView;
  groups: Groups;
  /** Why the server may not have everything; `null` where it has. */
  missing: string | null;
}

export interface TraceLoad {
  loaded?: Loaded;
  error?: ApiError;
  slow: boolean;
  marks: Marks | null;
  /** How far tags and annotations are read; `null` of a file, whose are not. */
  tags: Tags | null;
  found: Found | null;
  find: (text: string) => void;
  /** Reads tags and annotations that were left, or failed. */
  readTags: () => void;
  /** What the file that was loaded has of a span. */
  fileSpans: (spanId: string) => Promise<FileSpans>;
}

type State = Omit<TraceLoad, 'find' | 'readTags' | 'fileSpans'>;

const WAITING: State = { slow: false, marks: null, tags: null, found: null };

let nextNumber = 1;

/** Loads whenever `key` changes; `null` loads nothing. */
export function useTraceLoad(key: string | null, source: () => Source): TraceLoad {
  const [state, setState] = useState<State>(WAITING);
  const worker = useRef<Worker | null>(null);
  const asked = useRef(new Map<number, (told: Told) => void>());
  useEffect(() => {
    setState(WAITING);
    if (key === null) return;
    const own = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
    worker.current = own;
    const timer = setTimeout(() => setState((before) => ({ ...before, slow: !before.loaded && !before.error })), SLOW_MS);
    const hear = (told: Told) => {
      if ('number' in told) asked.current.get(told.number)?.(told);
      else setState((before) => ({ ...before, ...heard(told) }));
    };
    own.onmessage = ({ data }: MessageEvent<Told>) => hear(data);
    own.onerror = (event) => hear({ kind: 'failed', status: 0, message: event.message });
    own.postMessage({ kind: 'load', source: source() } satisfies Question);
    return () => {
      clearTimeout(timer);
      own.terminate();
      asked.current.clear();
      worker.current = null;
    };
  }, [key]);
  const find = (text: string) => worker.current?.postMessage({ kind: 'find', text } satisfies Question);
  const readTags = () => worker.current?.postMessage({ kind: 'tags' } satisfies Question);
  const fileSpans = (spanId: string) => {
    const number = nextNumber++;
    return new Promise<FileSpans>((resolve, reject) => {
      asked.current.set(number, (told) => {
        asked.current.delete(number);
        if (told.kind === 'detailed') resolve(told.found);
        else if (told.kind === 'undetailed') reject(new ApiError(0, told.message));
      });
      worker.current?.postMessage({ kind: 'details', number, spanId } satisfies Question);
    });
  };
  return { ...state, find, readTags, fileSpans };
}

function heard(told: Exclude<Told, { number: number }>): Partial<State> {
  switch (told.kind) {
    case 'loaded':
      return { loaded: told, slow: false };
    case 'failed':
      return { error: new ApiError(told.status, told.message), slow: false };
    case 'marked':
      return { marks: told.marks, tags: told.tags };
    case 'tags':
      return { tags: told.tags };
    case 'found':
      return { found: told };
  }
}
