/**
 * The rows of a trace. Only those in sight are elements, so that a hundred thousand scroll as ten do.
 *
 * It is one tree grid to the keyboard: the focus stays on the grid, and the arrows move its active row.
 */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import { formatDuration } from '../format';
import type { ServiceColours } from '../service-colour';
import { BAND_HEIGHT, move, ROW_HEIGHT, scrollTopFor, windowOf } from './scrolling';
import { TimelineRow } from './timeline-row';
import { activePosition, parentIndex, type Row, type Trace, visibleRows } from './tree';

interface Properties {
  trace: Trace;
  colours: ServiceColours;
  selectedId: string | null;
  onSelect: (id: string | null) => void;
}

/** Where the time axis is labelled, as parts of the whole. */
const TICKS = [0, 0.25, 0.5, 0.75];

export function Timeline({ trace, colours, selectedId, onSelect }: Properties) {
  const { rows } = trace;
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set());
  const [activeId, setActiveId] = useState(selectedId ?? rows[0]?.id ?? null);
  const visible = useMemo(() => visibleRows(rows, collapsed), [rows, collapsed]);
  const active = useMemo(() => activePosition(rows, visible, activeId), [rows, visible, activeId]);
  const shownId = rows[visible[active] ?? 0]?.id ?? null;
  const { scroller, top, height } = useScroll();
  const reveal = (position: number) => {
    const element = scroller.current;
    if (element) element.scrollTop = scrollTopFor(position, element.scrollTop, element.clientHeight);
  };
  // A link to a span shows it, wherever it is; so does the back button.
  useLayoutEffect(() => {
    if (selectedId === null) return;
    setActiveId(selectedId);
    reveal(activePosition(rows, visible, selectedId));
  }, [selectedId]);
  const activate = (position: number) => {
    const index = visible[position];
    if (index === undefined) return;
    setActiveId(rows[index]?.id ?? null);
    reveal(position);
  };
  const setOpen = (row: Row, open: boolean) => {
    const next = new Set(collapsed);
    if (open) next.delete(row.id);
    else next.add(row.id);
    setCollapsed(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const index = visible[active];
    const row = index === undefined ? undefined : rows[index];
    if (!row || index === undefined || event.metaKey || event.ctrlKey || event.altKey) return;
    const hasChildren = row.end > index + 1;
    const isOpen = hasChildren && !collapsed.has(row.id);
    const target = move(event.key, active, visible.length, height);
    if (target !== null) activate(target);
    else if (['ArrowRight', 'l'].includes(event.key) && hasChildren) isOpen ? activate(active + 1) : setOpen(row, true);
    else if (['ArrowLeft', 'h'].includes(event.key) && isOpen) setOpen(row, false);
    else if (['ArrowLeft', 'h'].includes(event.key)) activate(visible.indexOf(parentIndex(rows, index)));
    else if (['Enter', ' '].includes(event.key)) onSelect(selectedId === row.id ? null : row.id);
    else if (event.key === 'Escape' && selectedId !== null) onSelect(null);
    else return;
    event.preventDefault();
  };
  const { first, last } = windowOf(top, height, visible.length);
  return (
    <section class="timeline">
      <Toolbar rows={rows} setCollapsed={setCollapsed} />
      <div
        ref={scroller}
        class="timeline-scroller"
        role="treegrid"
        aria-label="Spans"
        aria-rowcount={visible.length + 1}
        aria-activedescendant={active >= first && active < last ? `row-${shownId}` : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
      >
        <TimeAxis trace={trace} />
        <div class="timeline-rows" style={{ height: `${visible.length * ROW_HEIGHT}px` }} role="rowgroup">
          <div style={{ transform: `translateY(${first * ROW_HEIGHT}px)` }} role="presentation">
            {visible.slice(first, last).map((index, offset) => {
              const row = rows[index] as Row;
              return (
                <TimelineRow
                  key={row.id}
                  row={row}
                  trace={trace}
                  colour={colours.get(row.serviceName)}
                  rowIndex={first + offset + 2}
                  children={row.end - index - 1}
                  open={!collapsed.has(row.id)}
                  active={row.id === shownId}
                  selected={row.id === selectedId}
                  onToggle={() => setOpen(row, collapsed.has(row.id))}
                  onSelect={() => {
                    setActiveId(row.id);
                    onSelect(row.id === selectedId ? null : row.id);
                  }}
                />
              );
            })}
          </div>
        </div>
      </div>
    </section>
  );
}

/** Where the scroller is and how high, as state. */
function useScroll() {
  const scroller = useRef<HTMLDivElement>(null);
  const [{ top, height }, setScroll] = useState({ top: 0, height: 800 });
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const update = () => setScroll({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(update);
    observer.observe(element);
    element.addEventListener('scroll', update, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', update);
    };
  }, []);
  return { scroller, top, height: Math.max(0, height - BAND_HEIGHT) };
}

function Toolbar({ rows, setCollapsed }: { rows: readonly Row[]; setCollapsed: (ids: ReadonlySet<string>) => void }) {
  const collapseAll = () => {
    const parents = rows.filter((row, index) => row.end > index + 1 && row.depth > 0);
    setCollapsed(new Set(parents.map((row) => row.id)));
  };
  return (
    <div class="timeline-toolbar">
      <button type="button" onClick={() => setCollapsed(new Set())}>
        Expand all
      </button>
      <button type="button" onClick={collapseAll}>
        Collapse all
      </button>
      <span class="muted hint">↑ ↓ move · ← → fold · Enter opens a span</span>
    </div>
  );
}

function TimeAxis({ trace }: { trace: Trace }) {
  return (
    <div class="timeline-axis" role="row" aria-rowindex={1}>
      <span role="columnheader">Service and span</span>
      <span role="columnheader" class="axis-duration">
        Duration
      </span>
      <span role="columnheader" class="axis-time" aria-label={`Time, from 0 to ${formatDuration(trace.duration)}`}>
        {trace.start !== undefined &&
          TICKS.map((tick) => (
            <span key={tick} class="tick" style={{ left: `${tick * 100}%` }}>
              {formatDuration(Math.round(trace.duration * tick))}
            </span>
          ))}
        {trace.start !== undefined && <span class="tick tick-last">{formatDuration(trace.duration)}</span>}
      </span>
    </div>
  );
}
