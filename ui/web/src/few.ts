/** Many small questions, a few at a time: what is asked for every row of a table must not crowd out everything else. */
import { useEffect, useRef, useState } from 'preact/hooks';

/** How many are on their way at once, unless who asks wants fewer. */
const AT_ONCE = 4;

/** Answers that come within this time of another are told together. */
const TOGETHER_MS = 200;

/** What is known about one of many; absent: not asked yet. */
export interface Piece<T> {
  answer?: T;
  error?: string;
}

export interface Pieces<T> {
  /** By name. */
  known: ReadonlyMap<string, Piece<T>>;
  /** Asks about one, unless that was done. */
  want: (name: string) => void;
}

/**
 * Answers by name, asked for as they are wanted. Everything is forgotten, and `want` is another function, where `key`
 * changes.
 */
export function useFew<T>(key: string, ask: (name: string, signal: AbortSignal) => Promise<T>, atOnce = AT_ONCE): Pieces<T> {
  const [known, setKnown] = useState<ReadonlyMap<string, Piece<T>>>(new Map());
  const latest = useRef(ask);
  latest.current = ask;
  const arrived = useRef(new Map<string, Piece<T>>());
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const flush = () => {
    timer.current = null;
    const fresh = arrived.current;
    arrived.current = new Map();
    setKnown((before) => new Map([...before, ...fresh]));
  };
  const forget = () => {
    if (timer.current !== null) clearTimeout(timer.current);
    timer.current = null;
    arrived.current = new Map();
  };
  const line = useRef<Line | null>(null);
  const lineKey = useRef('');
  if (line.current === null || lineKey.current !== key) {
    line.current?.stop();
    forget();
    lineKey.current = key;
    line.current = makeLine(atOnce, async (name, signal) => {
      let piece: Piece<T>;
      try {
        piece = { answer: await latest.current(name, signal) };
      } catch (error) {
        piece = { error: error instanceof Error ? error.message : String(error) };
      }
      if (signal.aborted) return;
      arrived.current.set(name, piece);
      // Everything that asks is drawn anew for it: a hundred answers are not a hundred drawings.
      timer.current ??= setTimeout(flush, TOGETHER_MS);
    });
  }
  useEffect(() => {
    setKnown((before) => (before.size === 0 ? before : new Map()));
  }, [key]);
  useEffect(
    () => () => {
      line.current?.stop();
      forget();
    },
    [],
  );
  return { known, want: line.current.want };
}

export interface Line {
  want: (name: string) => void;
  /** Forgets who waits and aborts what is on its way. */
  stop: () => void;
}

/** Does something for every name once, in the order they are wanted, at most `atOnce` at a time. */
export function makeLine(atOnce: number, run: (name: string, signal: AbortSignal) => Promise<void>): Line {
  const controller = new AbortController();
  const asked = new Set<string>();
  const waiting: string[] = [];
  let running = 0;
  const next = () => {
    while (running < atOnce && !controller.signal.aborted) {
      const name = waiting.shift();
      if (name === undefined) return;
      running += 1;
      void run(name, controller.signal).finally(() => {
        running -= 1;
        next();
      });
    }
  };
  return {
    want: (name) => {
      if (asked.has(name)) return;
      asked.add(name);
      waiting.push(name);
      next();
    },
    stop: () => controller.abort(),
  };
}
