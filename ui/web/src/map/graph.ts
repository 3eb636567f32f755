/** Services and the calls between them, as the map has them: which are shown, and how many there are. */
import type { DependencyLink } from '../api/services';

/** More services than these are not drawn at once: nobody can read it, and it takes long. */
export const NODES_MAX = 300;

export interface MapNode {
  serviceName: string;
  /** Calls of it by others, itself not counted. */
  asked: number;
  /** It calls others. */
  calls: boolean;
}

export interface Graph {
  nodes: MapNode[];
  links: DependencyLink[];
}

/** Services that call or are called, each link once; what comes twice is added up. */
export function graphOf(links: readonly DependencyLink[]): Graph {
  const nodes = new Map<string, MapNode>();
  const node = (serviceName: string) => {
    const known = nodes.get(serviceName) ?? { serviceName, asked: 0, calls: false };
    nodes.set(serviceName, known);
    return known;
  };
  const distinct = new Map<string, DependencyLink>();
  for (const link of links) {
    const [parent, child] = [node(link.parent), node(link.child)];
    if (parent !== child) {
      parent.calls = true;
      child.asked += link.callCount;
    }
    const key = linkKey(link);
    const before = distinct.get(key);
    if (before) distinct.set(key, together(before, link));
    else distinct.set(key, link);
  }
  return { nodes: [...nodes.values()], links: [...distinct.values()] };
}

/** Percentiles of both together cannot be told from those of each. */
function together({ parent, child, ...one }: DependencyLink, other: DependencyLink): DependencyLink {
  const errorCount = (one.errorCount ?? 0) + (other.errorCount ?? 0);
  return { parent, child, callCount: one.callCount + other.callCount, ...(errorCount > 0 && { errorCount }) };
}

export function linkKey({ parent, child }: Pick<DependencyLink, 'parent' | 'child'>): string {
  return `${parent}\n${child}`;
}

/** What is at most `depth` calls away from a service, in either direction, with all calls between those. */
export function neighbourhood({ nodes, links }: Graph, serviceName: string, depth: number): Graph {
  const beside = new Map<string, string[]>();
  const add = (from: string, to: string) => {
    const known = beside.get(from);
    if (known) known.push(to);
    else beside.set(from, [to]);
  };
  for (const { parent, child } of links) {
    add(parent, child);
    add(child, parent);
  }
  const near = new Set([serviceName]);
  let edge = [serviceName];
  for (let step = 0; step < depth; step++) {
    edge = [...new Set(edge.flatMap((name) => beside.get(name) ?? []))].filter((name) => !near.has(name));
    for (const name of edge) near.add(name);
  }
  return within({ nodes, links }, near);
}

/** Those of some names, and the calls between them. */
function within({ nodes, links }: Graph, names: ReadonlySet<string>): Graph {
  return {
    nodes: nodes.filter((node) => names.has(node.serviceName)),
    links: links.filter(({ parent, child }) => names.has(parent) && names.has(child)),
  };
}

/** How many calls each service takes part in. */
function traffic({ links }: Graph): Map<string, number> {
  const calls = new Map<string, number>();
  for (const { parent, child, callCount } of links) {
    for (const name of new Set([parent, child])) calls.set(name, (calls.get(name) ?? 0) + callCount);
  }
  return calls;
}

/** Services with the most calls first. */
export function busiest(graph: Graph): MapNode[] {
  const calls = traffic(graph);
  return graph.nodes.toSorted((a, b) => (calls.get(b.serviceName) ?? 0) - (calls.get(a.serviceName) ?? 0) || (a.serviceName < b.serviceName ? -1 : 1));
}

export interface Shown extends Graph {
  /** How many services there were before the busiest were taken. */
  all: number;
}

/** No more than can be drawn: the busiest, and always the chosen one. */
export function drawable(graph: Graph, chosen: string | null, most: number = NODES_MAX): Shown {
  const all = graph.nodes.length;
  if (all <= most) return { ...graph, all };
  const ranked = busiest(graph).map(({ serviceName }) => serviceName);
  const names = new Set(chosen !== null && ranked.includes(chosen) ? [chosen] : []);
  for (const name of ranked) {
    if (names.size >= most) break;
    names.add(name);
  }
  return { ...within(graph, names), all };
}

/** Zipkin's three classes of a link by the share of its calls that fail. */
export type Health = 'fine' | 'some' | 'many';

export function healthOf({ callCount, errorCount = 0 }: DependencyLink, low: number, high: number): Health {
  const rate = callCount === 0 ? 0 : errorCount / callCount;
  return errorCount > 0 && rate >= high ? 'many' : errorCount > 0 && rate >= low ? 'some' : 'fine';
}

/** CSS pixels: by the root of the calls, or one busy link would make all others hairs. */
export function widthOf(calls: number, most: number): number {
  return 1.5 + 4.5 * Math.sqrt(most === 0 ? 0 : calls / most);
}
