/** The page of the map, as the shell loads it. */
import type { PageProperties } from '../app';
import './map.css';
import { MapPage } from './map-page';

export default function Page({ config, search }: PageProperties) {
  return <MapPage config={config} search={search} />;
}
