/** The pages of services: all of them, one, one operation of it. */
import type { PageProperties } from '../app';
import { OperationPage } from './operation-page';
import { ServicePage } from './service-page';
import './services.css';
import { ServicesPage } from './services-page';

export default function Page({ config, search, route }: PageProperties) {
  switch (route.page) {
    case 'service':
      return <ServicePage key={route.serviceName} config={config} search={search} serviceName={route.serviceName} />;
    case 'operation': {
      const { serviceName, spanName } = route;
      return <OperationPage key={`${serviceName} ${spanName}`} config={config} search={search} serviceName={serviceName} spanName={spanName} />;
    }
    default:
      return <ServicesPage config={config} search={search} />;
  }
}
