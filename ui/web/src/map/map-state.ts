/** What of the map is shown, as the address says it. */
import type { Comparison } from './figures';

export interface MapState {
  /** Chosen: its details are shown, and with a depth only what is around it. */
  serviceName: string | null;
  depth: 'all' | 1 | 2;
  comparison: Comparison;
  table: boolean;
  /** `null` fits the map into its place. */
  zoom: number | null;
}

export const ZOOM_MIN = 0.2;
export const ZOOM_MAX = 3;

/** Whatever an address says; nonsense is the default. */
export function mapState(search: string): MapState {
  const parameters = new URLSearchParams(search);
  const depth = parameters.get('depth');
  const compare = parameters.get('compare');
  const zoom = Number(parameters.get('zoom') ?? Number.NaN);
  return {
    serviceName: parameters.get('service') || parameters.get('serviceName') || null,
    depth: depth === '1' ? 1 : depth === '2' ? 2 : 'all',
    comparison: compare === 'before' || compare === 'version' ? compare : 'none',
    table: parameters.get('view') === 'table',
    zoom: zoom > 0 ? Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, zoom)) : null,
  };
}
