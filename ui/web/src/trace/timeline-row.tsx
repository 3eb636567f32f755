/** A line of the timeline: where in the tree it is, what it is called, how long it took. Its bar is painted. */
import { formatDuration } from '../format';
import { colourClass } from '../service-colour';
import { at } from './groups';
import { lineAt } from './layout';
import type { Model } from './model';
import { brief, groupLabel, groupSize, nameOf, remoteOf, rowLabel, serviceOf } from './names';
import { text } from './text';
import { idOf, known } from './view';

/** Deeper rows are not indented further: the name would have no room. Their level is written instead. */
const INDENT_LEVELS_MAX = 16;

interface Properties {
  model: Model;
  line: number;
  /** By row: the parent that it names and that is missing. */
  orphans: ReadonlyMap<number, string>;
  matches: ReadonlySet<number>;
  onShowAll: () => void;
}

export function TimelineRow({ model, line, orphans, matches, onShowAll }: Properties) {
  const item = lineAt(model.layout, model.groups, line);
  if ('pruned' in item) return <PrunedLine model={model} line={line} pruned={item.pruned} onShowAll={onShowAll} />;
  if ('group' in item) return <GroupLine model={model} line={line} group={item.group} />;
  return <SpanLine model={model} line={line} row={item.row} orphan={orphans.get(item.row)} match={matches.has(item.row)} />;
}

/** The attributes of any line. */
function lineAttributes(model: Model, line: number) {
  return {
    id: lineId(line),
    role: 'row',
    'aria-rowindex': line + 2,
    'aria-level': at(model.layout.depth, line) + 1,
  } as const;
}

export function lineId(line: number): string {
  return `trace-line-${line}`;
}

function SpanLine({ model, line, row, orphan, match }: { model: Model; line: number; row: number; orphan: string | undefined; match: boolean }) {
  const { view, selected, active } = model;
  const { rows } = view;
  const failed = rows.error[row] === 1;
  const open = model.openOf(line);
  const [service, name, remote] = [serviceOf(view, row), nameOf(view, row), remoteOf(view, row)];
  const below = at(rows.end, row) - row - 1;
  const select = () => {
    model.activate(line);
    model.select(row === selected ? -1 : row);
  };
  const classes = ['trace-row', active === line && 'active', row === selected && 'selected', failed && 'failed', match && 'match'];
  return (
    <div
      {...lineAttributes(model, line)}
      class={classes.filter(Boolean).join(' ')}
      aria-selected={row === selected}
      aria-expanded={open}
      aria-label={rowLabel(view, row)}
      data-span={idOf(rows, row)}
      onClick={select}
    >
      <span class="trace-row-name" role="gridcell">
        <Indent model={model} line={line} open={open} />
        <span class={`swatch ${colourClass(model.colours.get(service))}`} />
        {failed && <span class="error-mark">✖</span>}
        <bdi class="trace-row-service">{brief(service)}</bdi>
        <bdi class="trace-row-span" title={`${brief(service)}: ${brief(name)}`}>
          {brief(name)}
        </bdi>
        {remote !== undefined && <bdi class="trace-row-remote">→ {brief(remote)}</bdi>}
        {orphan !== undefined && (
          <span class="trace-orphan" title={text.missingParentWhy(orphan)}>
            {text.missingParent}
          </span>
        )}
        {open === false && <span class="badge-count">+{below.toLocaleString('en')}</span>}
      </span>
      <span class="trace-row-duration numbers" role="gridcell">
        {formatDuration(known(rows.duration[row]))}
      </span>
      <span class="trace-row-time" role="gridcell" />
    </div>
  );
}

/** Lines and the button that folds. */
function Indent({ model, line, open }: { model: Model; line: number; open: boolean | undefined }) {
  const depth = at(model.layout.depth, line);
  const toggle = (event: Event) => {
    event.stopPropagation();
    model.toggle(line);
  };
  return (
    <>
      <span class="trace-indent" style={{ width: `calc(${Math.min(depth, INDENT_LEVELS_MAX)} * var(--trace-indent))` }} />
      {open === undefined ? (
        <span class="trace-toggle-space" />
      ) : (
        <span class="trace-toggle" title={open ? text.collapse : text.expand} onClick={toggle}>
          {open ? '▾' : '▸'}
        </span>
      )}
      {depth > INDENT_LEVELS_MAX && <span class="badge-count">{depth.toLocaleString('en')}</span>}
    </>
  );
}

function GroupLine({ model, line, group }: { model: Model; line: number; group: number }) {
  const { view, groups, active } = model;
  const first = at(groups.members, at(groups.begin, group));
  const [service, name] = [serviceOf(view, first), nameOf(view, first)];
  const open = model.openOf(line);
  const times = [groups.min, groups.median, groups.max].map((column) => formatDuration(at(column, group)));
  const [min = '', median = '', max = ''] = times;
  const press = () => {
    model.activate(line);
    model.toggle(line);
  };
  return (
    <div
      {...lineAttributes(model, line)}
      class={`trace-row trace-group ${active === line ? 'active' : ''} ${groups.errors[group] ? 'failed' : ''}`}
      aria-expanded={open}
      aria-label={groupLabel(view, groups, group)}
      title={open ? undefined : text.slowestShown}
      onClick={press}
    >
      <span class="trace-row-name" role="gridcell">
        <Indent model={model} line={line} open={open} />
        <span class={`swatch ${colourClass(model.colours.get(service))}`} />
        {at(groups.errors, group) > 0 && <span class="error-mark">✖ {at(groups.errors, group).toLocaleString('en')}</span>}
        <strong class="trace-repeats">{text.repeats(groupSize(groups, group))}</strong>
        <bdi class="trace-row-service">{brief(service)}</bdi>
        <bdi class="trace-row-span">{brief(name)}</bdi>
      </span>
      <span class="trace-row-duration numbers" role="gridcell" title={text.repeatTimesWhy} />
      <span class="trace-row-time" role="gridcell">
        <span class="trace-group-times numbers" title={text.repeatTimesWhy}>
          {text.repeatTimes(min, median, max)}
        </span>
      </span>
    </div>
  );
}

function PrunedLine({ model, line, pruned, onShowAll }: { model: Model; line: number; pruned: number; onShowAll: () => void }) {
  const { rows, errors } = model.layout.pruned[pruned] ?? { rows: 0, errors: 0 };
  const words = text.hiddenSpans(rows, errors);
  return (
    <div
      {...lineAttributes(model, line)}
      class={`trace-row trace-pruned ${model.active === line ? 'active' : ''} ${errors > 0 ? 'failed' : ''}`}
      aria-label={words}
      title={text.showAll}
      onClick={onShowAll}
    >
      <span class="trace-row-name" role="gridcell">
        <Indent model={model} line={line} open={undefined} />
        {errors > 0 && <span class="error-mark">✖</span>}
        <span class="muted">{words}</span>
      </span>
      <span class="trace-row-duration" role="gridcell" />
      <span class="trace-row-time" role="gridcell" />
    </div>
  );
}
