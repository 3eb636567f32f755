/** A row: where in the tree it is, what it is called, how long it took, and when, as a bar. */
import { formatDuration } from '../format';
import { colourClass, type ServiceColour } from '../service-colour';
import type { Row, Trace } from './tree';

/** CSS pixels a level. */
const INDENT = 14;

/** Deeper rows are not indented further: the name would have no room. Their level is written instead. */
const INDENT_LEVELS_MAX = 16;

interface Properties {
  row: Row;
  trace: Trace;
  colour: ServiceColour | undefined;
  /** Among the rows that are not folded away; the first is 2, after the axis. */
  rowIndex: number;
  /** How many rows are below it. */
  children: number;
  open: boolean;
  active: boolean;
  selected: boolean;
  onToggle: () => void;
  onSelect: () => void;
}

export function TimelineRow(properties: Properties) {
  const { row, trace, colour, rowIndex, children, open, active, selected, onToggle, onSelect } = properties;
  const toggle = (event: Event) => {
    event.stopPropagation();
    onToggle();
  };
  return (
    <div
      id={`row-${row.id}`}
      class={`row ${active ? 'active' : ''} ${selected ? 'selected' : ''} ${row.failed ? 'failed' : ''}`}
      role="row"
      aria-rowindex={rowIndex}
      aria-level={row.depth + 1}
      aria-selected={selected}
      aria-expanded={children > 0 ? open : undefined}
      aria-label={label(row, trace)}
      onClick={onSelect}
    >
      <span class="row-name" role="gridcell">
        <span class="indent" style={{ width: `${Math.min(row.depth, INDENT_LEVELS_MAX) * INDENT}px` }} />
        {children > 0 ? (
          <span class="toggle" title={open ? 'Collapse' : 'Expand'} onClick={toggle}>
            {open ? '▾' : '▸'}
          </span>
        ) : (
          <span class="toggle-space" />
        )}
        {row.depth > INDENT_LEVELS_MAX && <span class="badge-count">{row.depth}</span>}
        <span class={`swatch ${colourClass(colour)}`} />
        {row.failed && <span class="error-mark">✖</span>}
        <span class="row-service">{row.serviceName}</span>
        <span class="row-span" title={`${row.serviceName}: ${row.name}`}>
          {row.name}
        </span>
        {row.orphaned && (
          <span class="orphan" title={`Its parent ${row.parentId} is not in this trace`}>
            no parent
          </span>
        )}
        {children > 0 && !open && <span class="badge-count">+{children.toLocaleString('en')}</span>}
      </span>
      <span class="row-duration numbers" role="gridcell">
        {formatDuration(row.duration)}
      </span>
      <span class="row-time" role="gridcell">
        <Bar row={row} trace={trace} colour={colour} />
      </span>
    </div>
  );
}

function Bar({ row, trace, colour }: { row: Row; trace: Trace; colour: ServiceColour | undefined }) {
  if (row.timestamp === undefined || trace.start === undefined) return null;
  const left = ((row.timestamp - trace.start) / trace.duration) * 100;
  const width = ((row.duration ?? 0) / trace.duration) * 100;
  return <span class={`bar ${colourClass(colour)}`} style={{ left: `${left}%`, width: `${width}%` }} />;
}

/** What the row is to who does not see it. */
function label(row: Row, trace: Trace): string {
  const parts = [`${row.serviceName} ${row.name}`, formatDuration(row.duration)];
  if (row.timestamp !== undefined && trace.start !== undefined) {
    parts.push(`starts at ${formatDuration(row.timestamp - trace.start)}`);
  }
  if (row.failed) parts.push('failed');
  if (row.orphaned) parts.push('its parent is missing');
  return parts.join(', ');
}
