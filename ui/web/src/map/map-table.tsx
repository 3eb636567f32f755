/** The map as two tables: services, and the calls between them. */
import { useMemo } from 'preact/hooks';

import type { DependencyLink } from '../api/services';
import { formatChange, formatDuration, formatRate, formatShare } from '../format';
import { pathOf } from '../location';
import { Versions } from '../services/cells';
import { callColumns } from '../services/link-columns';
import { searchPath } from '../services/search-path';
import { ServiceLink } from '../services/service-columns';
import { type Column, DataTable } from '../shell/data-table';
import { Link } from '../shell/link';
import { type AskedWindow, sameTime } from '../window';
import { type Delta, type NodeFigures, toneOf } from './figures';
import { type Graph, linkKey } from './graph';
import { text } from './text';
import type { MapFigures } from './use-map';

interface Properties {
  graph: Graph;
  figures: MapFigures;
  asked: AskedWindow;
  search: string;
}

interface ServiceRow extends NodeFigures {
  serviceName: string;
}

export function MapTable({ graph, figures, asked, search }: Properties) {
  const services = useMemo(() => graph.nodes.map(({ serviceName }) => ({ serviceName, ...figures.node(serviceName) })), [graph, figures]);
  const [serviceColumns, linkColumns] = useMemo(() => [columnsOfServices(), columnsOfLinks(figures, asked)], [figures, asked]);
  return (
    <>
      <h2>{text.links}</h2>
      <DataTable label={text.links} columns={linkColumns} rows={graph.links} rowKey={linkKey} search={search} />
      <h2 class="map-table-title">{text.services}</h2>
      <DataTable
        label={text.services}
        columns={serviceColumns}
        rows={services}
        rowKey={({ serviceName }) => serviceName}
        pathOf={({ serviceName }) => sameTime(pathOf('services', serviceName))}
        search={search}
        parameter="services"
      />
    </>
  );
}

function Changed({ change }: { change: Delta | undefined }) {
  if (!change) return <span class="muted">–</span>;
  const tone = toneOf(change);
  return (
    <span class={tone === 'same' ? 'muted' : `services-${tone}`}>
      {tone !== 'same' && <span aria-hidden="true">{tone === 'worse' ? '▲ ' : '▼ '}</span>}
      {formatChange(change.difference)}
    </span>
  );
}

function columnsOfServices(): Column<ServiceRow>[] {
  return [
    { key: 'service', title: text.service, cell: (row) => <ServiceLink name={row.serviceName} />, sortBy: (row) => row.serviceName },
    { key: 'rate', title: text.rate, numeric: true, cell: (row) => formatRate(row.rate), sortBy: (row) => row.rate },
    { key: 'errors', title: text.errors, numeric: true, cell: (row) => (row.errorShare === undefined ? '–' : formatShare(row.errorShare)), sortBy: (row) => row.errorShare },
    { key: 'p95', title: text.p95, numeric: true, cell: (row) => formatDuration(row.p95), sortBy: (row) => row.p95 },
    { key: 'change', title: text.change, numeric: true, cell: (row) => <Changed change={row.change} />, sortBy: (row) => row.change?.difference },
    { key: 'versions', title: text.versions, cell: (row) => <Versions versions={row.versions} /> },
  ];
}

function columnsOfLinks(figures: MapFigures, asked: AskedWindow): Column<DependencyLink>[] {
  return [
    { key: 'caller', title: text.caller, cell: ({ parent }) => <ServiceLink name={parent} />, sortBy: ({ parent }) => parent },
    { key: 'callee', title: text.callee, cell: ({ child }) => <ServiceLink name={child} />, sortBy: ({ child }) => child },
    ...callColumns(['p50', 'p95', 'p99']),
    { key: 'change', title: text.change, numeric: true, cell: (link) => <Changed change={figures.link(link)} />, sortBy: (link) => figures.link(link)?.difference },
    {
      key: 'traces',
      title: text.tracesOfLink,
      cell: ({ parent, child }) => <Link path={searchPath({ serviceName: parent, remoteServiceName: child }, asked)}>{text.tracesOfLink}</Link>,
    },
  ];
}
