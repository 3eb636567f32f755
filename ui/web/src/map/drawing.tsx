/**
 * The map as a picture: services as boxes, calls as lines from left to right. It is as large as it needs to be, in a
 * place that scrolls; the arrow keys go from box to box.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { DependencyConfig } from '../api';
import type { DependencyLink } from '../api/services';
import { useShortcuts } from '../keyboard';
import { changeParameters } from '../location';
import { widthOf } from './graph';
import { type Direction, nearest } from './geometry';
import { LinkShape } from './link-shape';
import { ZOOM_MAX, ZOOM_MIN } from './map-state';
import { NodeShape } from './node-shape';
import { text } from './text';
import type { MapFigures } from './use-map';
import type { Drawn } from './use-layout';

interface Properties {
  drawn: Drawn;
  figures: MapFigures;
  chosen: string | null;
  /** `null` fits it in. */
  zoom: number | null;
  rates: DependencyConfig;
  /** Not everything was looked at. */
  partial: boolean;
  /** The next layout is being made. */
  stale: boolean;
}

/** Not even to fit a large map in: boxes could not be read. */
const FIT_MIN = 0.45;

const STEP = 1.25;

const ARROWS: Record<string, Direction> = { ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'up', ArrowDown: 'down' };

export function Drawing({ drawn, figures, chosen, zoom, rates, partial, stale }: Properties) {
  const { graph, layout } = drawn;
  const place = useRef<HTMLDivElement>(null);
  const fitted = useFit(place, layout.width);
  const scale = zoom ?? fitted;
  const to = (next: number | null) => changeParameters({ zoom: next === null ? null : Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, next)).toFixed(2) });
  useShortcuts(text.map, [
    { keys: ['+', '='], text: text.zoomIn, run: () => to(scale * STEP) },
    { keys: ['-'], text: text.zoomOut, run: () => to(scale / STEP) },
    { keys: ['0'], text: text.fit, run: () => to(null) },
  ]);
  const [focused, setFocused] = useState(0);
  const chosenIndex = graph.nodes.findIndex(({ serviceName }) => serviceName === chosen);
  const reachable = Math.min(graph.nodes.length - 1, chosenIndex >= 0 ? chosenIndex : focused);
  const choose = useCallback((serviceName: string) => changeParameters({ service: serviceName }), []);
  const onKeyDown = (event: KeyboardEvent) => {
    const box = event.target instanceof Element ? event.target.closest<SVGGElement>('[data-node]') : null;
    if (!box) return;
    const index = Number(box.dataset['node']);
    const direction = ARROWS[event.key];
    if (direction) {
      const next = nearest(layout.nodes, index, direction);
      if (next === null) return;
      setFocused(next);
      place.current?.querySelector<SVGGElement>(`[data-node="${next}"]`)?.focus();
    } else if (event.key === 'Enter' || event.key === ' ') choose(graph.nodes[index]?.serviceName ?? '');
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  useScrolledTo(place, layout.nodes[chosenIndex], scale);
  const most = graph.links.reduce((max, { callCount }) => Math.max(max, callCount), 0);
  return (
    <>
      <div class="map-zoom" role="group" aria-label={text.zoom}>
        <button type="button" aria-label={text.zoomOut} title={text.zoomOut} onClick={() => to(scale / STEP)}>
          −
        </button>
        <button type="button" aria-label={text.zoomIn} title={text.zoomIn} onClick={() => to(scale * STEP)}>
          +
        </button>
        <button type="button" onClick={() => to(null)}>
          {text.fit}
        </button>
        <span class="muted numbers">{Math.round(scale * 100)} %</span>
      </div>
      <div ref={place} class={`map-place ${stale ? 'stale' : ''}`} role="region" aria-label={text.map} tabIndex={0} onKeyDown={onKeyDown} onPointerDown={dragged}>
        <svg
          class={partial ? 'map-partial' : ''}
          role="group"
          aria-label={text.summary(graph.nodes.length, graph.links.length)}
          width={layout.width * scale}
          height={layout.height * scale}
          viewBox={`0 0 ${layout.width} ${layout.height}`}
        >
          {graph.links.map((link, index) => {
            const line = layout.links[index];
            return line && <LinkShape key={`${link.parent}\n${link.child}`} link={link} line={line} width={widthOf(link.callCount, most)} change={figures.link(link)} rates={rates} faded={isFaded(link, chosen)} />;
          })}
          {graph.nodes.map((node, index) => {
            const at = layout.nodes[index];
            return at && <NodeShape key={node.serviceName} index={index} serviceName={node.serviceName} figures={figures.node(node.serviceName)} at={at} chosen={node.serviceName === chosen} reachable={index === reachable} onChoose={choose} />;
          })}
        </svg>
      </div>
    </>
  );
}

/** Links that have nothing to do with the chosen service step back. */
function isFaded({ parent, child }: DependencyLink, chosen: string | null): boolean {
  return chosen !== null && parent !== chosen && child !== chosen;
}

/** How large the map is if it is as wide as its place; never larger than it is, nor too small to be read. */
function useFit(place: { current: HTMLDivElement | null }, width: number): number {
  const [available, setAvailable] = useState(0);
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    const measure = () => setAvailable(element.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return available === 0 ? 1 : Math.min(1, Math.max(FIT_MIN, available / width));
}

/** Shows a place that was chosen elsewhere, in the address or the list. */
function useScrolledTo(place: { current: HTMLDivElement | null }, at: { x: number; y: number } | undefined, scale: number): void {
  const [x, y] = [at?.x, at?.y];
  useEffect(() => {
    const element = place.current;
    if (!element || x === undefined || y === undefined) return;
    element.scrollTo({ left: x * scale - element.clientWidth / 2, top: y * scale - element.clientHeight / 2 });
  }, [x, y, scale]);
}

/** The ground can be dragged, as a map; what is on it cannot. */
function dragged(event: PointerEvent): void {
  const element = event.currentTarget as HTMLElement;
  if (event.button !== 0 || event.pointerType !== 'mouse' || (event.target as Element).closest('[data-node], a')) return;
  const from = { x: event.clientX + element.scrollLeft, y: event.clientY + element.scrollTop };
  const move = (moved: PointerEvent) => element.scrollTo(from.x - moved.clientX, from.y - moved.clientY);
  const end = () => {
    window.removeEventListener('pointermove', move);
    window.removeEventListener('pointerup', end);
  };
  window.addEventListener('pointermove', move);
  window.addEventListener('pointerup', end);
}
