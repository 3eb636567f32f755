/** The pages of objectives: all of them, one, and the form. */
import type { PageProperties } from '../app';
import { ObjectivePage } from './objective-page';
import { ObjectivesPage } from './objectives-page';
import './slo.css';

export default function Page({ search, route }: PageProperties) {
  if (route.page === 'objective') return <ObjectivePage key={route.name} name={route.name} search={search} />;
  return <ObjectivesPage search={search} />;
}
