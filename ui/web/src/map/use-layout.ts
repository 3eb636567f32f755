/** The layout of a map, made beside the page; the one before is kept until the next is there. */
import { useEffect, useState } from 'preact/hooks';

import type { Graph } from './graph';
import type { Layout, LayoutInput } from './geometry';

/** Whatever takes longer is too tangled to be read, too. */
const PATIENCE_MS = 15_000;

export interface Drawn {
  /** What was laid out; `layout` has its places in the same order. */
  graph: Graph;
  layout: Layout;
}

export interface LayoutState {
  drawn: Drawn | null;
  working: boolean;
  failed: boolean;
}

/** Lays a graph out whenever it is another object; `null` lays nothing out. */
export function useLayout(graph: Graph | null): LayoutState {
  const [state, setState] = useState<LayoutState>({ drawn: null, working: graph !== null, failed: false });
  useEffect(() => {
    if (graph === null) {
      setState({ drawn: null, working: false, failed: false });
      return;
    }
    setState((before) => ({ ...before, working: true, failed: false }));
    const worker = new Worker(new URL('./layout.worker.ts', import.meta.url), { type: 'module' });
    const fail = () => {
      worker.terminate();
      setState({ drawn: null, working: false, failed: true });
    };
    const timer = setTimeout(fail, PATIENCE_MS);
    worker.onerror = fail;
    worker.onmessage = ({ data }: MessageEvent<{ layout?: Layout }>) => {
      clearTimeout(timer);
      worker.terminate();
      if (data.layout) setState({ drawn: { graph, layout: data.layout }, working: false, failed: false });
      else setState({ drawn: null, working: false, failed: true });
    };
    worker.postMessage(inputOf(graph));
    return () => {
      clearTimeout(timer);
      worker.terminate();
    };
  }, [graph]);
  return state;
}

function inputOf({ nodes, links }: Graph): LayoutInput {
  const indexes = new Map(nodes.map(({ serviceName }, index) => [serviceName, index]));
  return {
    nodes: nodes.map(({ serviceName }) => serviceName),
    links: links.map(({ parent, child }) => ({ parent: indexes.get(parent) ?? 0, child: indexes.get(child) ?? 0 })),
  };
}
