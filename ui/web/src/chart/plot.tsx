/**
 * A chart of uPlot's, which is loaded when the first one is shown. It is as wide as its place and is made anew when
 * the theme, the zone or what it is made of changes.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import type uPlot from 'uplot';

import { useSettings } from '../settings';
import { tokenColour, useThemeName } from './colours';
import { text } from './text';

export type PlotOptions = Omit<uPlot.Options, 'width' | 'height'>;

interface Properties {
  /** CSS pixels. */
  height: number;
  data: uPlot.AlignedData;
  /** Made anew for a theme: colours are those of `tokenColour`. Keep it, or the plot is made at every render. */
  options: () => PlotOptions;
}

/** The look of an axis, to be spread into one. */
export function axisLook(): Pick<uPlot.Axis, 'stroke' | 'grid' | 'ticks' | 'font'> {
  const line = { stroke: tokenColour('--border'), width: 1 };
  return { stroke: tokenColour('--muted'), grid: line, ticks: line, font: '12px system-ui' };
}

export function Plot({ height, data, options }: Properties) {
  const place = useRef<HTMLDivElement>(null);
  const theme = useThemeName();
  const { zone } = useSettings();
  const [library, setLibrary] = useState<typeof uPlot | null>(null);
  useEffect(() => {
    let here = true;
    void import('./uplot').then((module) => here && setLibrary(() => module.default));
    return () => {
      here = false;
    };
  }, []);
  useEffect(() => {
    const element = place.current;
    if (!library || !element) return;
    const plot = new library({ ...options(), width: Math.max(1, element.clientWidth), height }, data, element);
    const observer = new ResizeObserver(() => plot.setSize({ width: Math.max(1, element.clientWidth), height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [library, data, options, height, theme, zone]);
  return (
    <div ref={place} class="plot" style={{ minHeight: `${height}px` }}>
      {!library && <p class="muted">{text.loading}</p>}
    </div>
  );
}
