/** The page of the search, as the shell loads it. */
import type { PageProperties } from '../app';
import './results.css';
import './search.css';
import { SearchPage } from './search-page';

export default function Page({ config, search }: PageProperties) {
  return <SearchPage config={config} search={search} />;
}
