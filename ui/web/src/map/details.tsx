/** What is known of the chosen service: its figures, who calls it, whom it calls, and where to go from here. */
import { Fragment } from 'preact';

import type { DependencyLink } from '../api/services';
import { formatChange, formatDuration, formatRate, formatShare } from '../format';
import { changeParameters, pathOf } from '../location';
import { Link } from '../shell/link';
import { Deployed, Errors, Versions } from '../services/cells';
import { searchPath } from '../services/search-path';
import { type AskedWindow, sameTime } from '../window';
import { text } from './text';
import type { MapFigures } from './use-map';

interface Properties {
  serviceName: string;
  links: readonly DependencyLink[];
  figures: MapFigures;
  asked: AskedWindow;
}

export function Details({ serviceName, links, figures, asked }: Properties) {
  const { rate, errorShare, p95, versions, change, rolling, regressed } = figures.node(serviceName);
  const [deployment] = figures.deployments(serviceName);
  const facts: [string, preact.ComponentChildren][] = [
    [text.rate, formatRate(rate)],
    [text.errors, errorShare === undefined ? '–' : formatShare(errorShare)],
    [text.p95, formatDuration(p95)],
    ...(change ? ([[text.change, formatChange(change.difference)]] as [string, string][]) : []),
    ...(versions.length > 0 ? ([[text.versions, <Versions key="versions" versions={versions} />]] as [string, preact.ComponentChildren][]) : []),
    ...(deployment ? ([[text.deployment, <Deployed key="deployed" deployment={deployment} at={asked.endTs} />]] as [string, preact.ComponentChildren][]) : []),
  ];
  return (
    <aside class="map-details" aria-label={text.details(serviceName)}>
      <div class="map-details-head">
        <h2>
          <bdi>{serviceName}</bdi>
        </h2>
        <button type="button" onClick={() => changeParameters({ service: null, serviceName: null, depth: null })}>
          {text.close}
        </button>
      </div>
      {regressed && <p class="services-worse">✖ {text.regressed}</p>}
      {rolling && <p>{text.rolling}</p>}
      <dl class="map-facts-list">
        {facts.map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
      </dl>
      <p class="map-ways">
        <Link path={sameTime(pathOf('services', serviceName))}>{text.servicePage}</Link>
        <Link path={searchPath({ serviceName }, asked)}>{text.itsTraces}</Link>
        <button type="button" onClick={() => changeParameters({ depth: '1' }, 'push')}>
          {text.around}
        </button>
      </p>
      <Others title={text.callers} own={serviceName} end="parent" links={links.filter(({ child }) => child === serviceName)} />
      <Others title={text.callees} own={serviceName} end="child" links={links.filter(({ parent }) => parent === serviceName)} />
    </aside>
  );
}

interface OthersProperties {
  title: string;
  own: string;
  end: 'parent' | 'child';
  links: DependencyLink[];
}

/** More of them are in the table. */
const OTHERS_SHOWN = 20;

function Others({ title, own, end, links }: OthersProperties) {
  const shown = links.toSorted((a, b) => b.callCount - a.callCount).slice(0, OTHERS_SHOWN);
  return (
    <section>
      <h3>{title}</h3>
      {shown.length === 0 && <p class="muted">{text.nobody}</p>}
      <ul class="map-others">
        {shown.map((link) => (
          <li key={link[end]}>
            <button type="button" class="map-other" onClick={() => changeParameters({ service: link[end] })}>
              <bdi>{link[end] === own ? text.itself : link[end] || text.unnamed}</bdi>
            </button>
            <span class="muted numbers">
              {link.callCount.toLocaleString('en')}
              {link.p95 !== undefined && ` · ${formatDuration(link.p95)}`}
            </span>
            {(link.errorCount ?? 0) > 0 && <Errors errors={link.errorCount ?? 0} count={link.callCount} />}
          </li>
        ))}
      </ul>
    </section>
  );
}
