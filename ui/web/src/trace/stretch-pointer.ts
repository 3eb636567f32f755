/** Zooming and moving the timeline with a pointer: a drag over the axis looks at a stretch, the wheel with Ctrl zooms. */
import { useEffect, useRef } from 'preact/hooks';

import type { Model } from './model';

/** A shorter drag is a press. CSS pixels. */
const LEAST_DRAG = 4;

type Place<T> = { current: T | null };

export function useStretchPointer(scroller: Place<HTMLElement>, band: Place<HTMLElement>, model: Model): void {
  const latest = useRef(model);
  latest.current = model;
  useEffect(() => {
    const [element, axis] = [scroller.current, band.current];
    if (!element || !axis) return;
    const timeAt = (clientX: number) => {
      const { left, width } = axis.getBoundingClientRect();
      const { from, to } = latest.current.stretch;
      return from + (Math.max(0, Math.min(width, clientX - left)) / Math.max(1, width)) * (to - from);
    };
    const onWheel = (event: WheelEvent) => {
      if (event.ctrlKey) latest.current.zoom(Math.exp(event.deltaY / 300), timeAt(event.clientX));
      else if (event.shiftKey) latest.current.pan(Math.sign(event.deltaY || event.deltaX) * 0.1);
      else return;
      event.preventDefault();
    };
    const onPointerDown = (event: PointerEvent) => dragOver(axis, event, timeAt, (from, to) => latest.current.setStretch({ from, to }));
    element.addEventListener('wheel', onWheel, { passive: false });
    axis.addEventListener('pointerdown', onPointerDown);
    return () => {
      element.removeEventListener('wheel', onWheel);
      axis.removeEventListener('pointerdown', onPointerDown);
    };
  }, []);
}

/** Follows a drag over an element with a shade, and says which stretch it was. */
export function dragOver(
  element: HTMLElement,
  event: PointerEvent,
  timeAt: (clientX: number) => number,
  done: (from: number, to: number) => void,
): void {
  if (event.button !== 0) return;
  event.preventDefault();
  const begin = event.clientX;
  const shade = document.createElement('span');
  shade.className = 'trace-drag';
  element.append(shade);
  const { left } = element.getBoundingClientRect();
  const onMove = ({ clientX }: PointerEvent) => {
    shade.style.left = `${Math.min(begin, clientX) - left}px`;
    shade.style.width = `${Math.abs(clientX - begin)}px`;
  };
  const stop = () => {
    shade.remove();
    window.removeEventListener('pointermove', onMove);
    window.removeEventListener('pointerup', onUp);
    window.removeEventListener('pointercancel', stop);
  };
  const onUp = ({ clientX }: PointerEvent) => {
    stop();
    if (Math.abs(clientX - begin) < LEAST_DRAG) return;
    const [from, to] = [timeAt(Math.min(begin, clientX)), timeAt(Math.max(begin, clientX))];
    done(from, to);
  };
  window.addEventListener('pointermove', onMove);
  window.addEventListener('pointerup', onUp);
  window.addEventListener('pointercancel', stop);
}
