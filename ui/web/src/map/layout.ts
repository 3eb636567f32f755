/** Where everything on the map is: layers from left to right, callers before what they call. */
import { Graph, layout } from '@dagrejs/dagre';

import { type At, type Layout, type LayoutInput, NODE_HEIGHT, NODE_WIDTH } from './geometry';

const LABEL = { width: 84, height: 18 };
const MARGIN = 24;

/** More than these are layered in a way that is quicker and not quite as short. */
const SIMPLE_LINKS = 100;

/** How far a service's call of itself goes above it. */
const LOOP_HEIGHT = 18;

/** The same input gives the same layout. Tangled hundreds take seconds: not for the page's own thread. */
export function layoutOf({ nodes, links }: LayoutInput): Layout {
  const graph = new Graph({ directed: true, multigraph: true });
  graph.setGraph({ rankdir: 'LR', nodesep: 26, edgesep: 14, ranksep: 56, ranker: links.length > SIMPLE_LINKS ? 'tight-tree' : 'network-simplex', marginx: MARGIN, marginy: MARGIN });
  nodes.forEach((_, index) => graph.setNode(String(index), { width: NODE_WIDTH, height: NODE_HEIGHT }));
  links.forEach(({ parent, child }, index) => {
    if (parent !== child) graph.setEdge(String(parent), String(child), { ...LABEL, labelpos: 'c' }, String(index));
  });
  layout(graph);
  const size = graph.graph();
  const places = nodes.map((_, index) => at(graph.node(String(index))));
  return {
    width: Math.max(size.width ?? 0, NODE_WIDTH + 2 * MARGIN),
    height: Math.max(size.height ?? 0, NODE_HEIGHT + 2 * MARGIN),
    nodes: places,
    links: links.map(({ parent, child }, index) => {
      if (parent === child) return loopAt(places[parent] ?? { x: 0, y: 0 });
      const edge = graph.edge(String(parent), String(child), String(index));
      const between = (edge.points ?? []).slice(1, -1).map(at);
      return { points: fromSideToSide(places[parent], between, places[child]), label: at(edge) };
    }),
  };
}

function at(point: { x?: number | undefined; y?: number | undefined } | undefined): At {
  return { x: Math.round(point?.x ?? 0), y: Math.round(point?.y ?? 0) };
}

/** Out at the top of a service and in again. */
function loopAt({ x, y }: At): { points: At[]; label: At } {
  const top = y - NODE_HEIGHT / 2;
  const right = x + NODE_WIDTH / 2;
  const points = [
    { x: right - 60, y: top },
    { x: right - 60, y: top - 1.6 * LOOP_HEIGHT },
    { x: right - 20, y: top - 1.6 * LOOP_HEIGHT },
    { x: right - 20, y: top },
  ];
  return { points, label: { x: right - 96, y: top - LOOP_HEIGHT / 2 } };
}

/** Lines leave at one side of a box and arrive at the other, so that none goes along or behind a box of its layer. */
function fromSideToSide(from: At | undefined, between: At[], to: At | undefined): At[] {
  if (!from || !to) return between;
  const half = (Math.sign(to.x - from.x) * NODE_WIDTH) / 2;
  return [{ x: from.x + half, y: from.y }, ...between, { x: to.x - half, y: to.y }];
}
