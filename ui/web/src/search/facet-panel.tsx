/** What the loaded traces can be narrowed by, with how many there are of each. */
import { useState } from 'preact/hooks';

import type { Facet, Facets } from './facets';
import { isNarrowed } from './facets';
import { text } from './text';
import type { View } from './view';

interface Properties {
  facets: Facets;
  view: View;
  onView: (change: Partial<View>) => void;
}

/** So many are seen at once; the others on demand. */
const SEEN = 8;

/** More are not listed at all: the form's fields find them. */
const LISTED_MAX = 100;

const WIDE_PX = 1024;

export function FacetPanel({ facets, view, onView }: Properties) {
  const [open, setOpen] = useState(() => window.innerWidth >= WIDE_PX || isNarrowed(view));
  const toggle = (name: 'services' | 'versions') => (value: string) => {
    const before = view[name];
    onView({ [name]: before.includes(value) ? before.filter((other) => other !== value) : [...before, value] });
  };
  const fail = (failed: boolean) => onView({ failed: view.failed === failed ? null : failed });
  return (
    <details class="facets" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{text.narrow}</summary>
      {isNarrowed(view) && (
        <button type="button" onClick={() => onView({ services: [], versions: [], failed: null })}>
          {text.clearFacets}
        </button>
      )}
      {facets.failed > 0 && (
        <section aria-label={text.facetErrors} role="group">
          <h3>{text.facetErrors}</h3>
          <ul>
            <Value name={text.withErrors} count={facets.failed} pressed={view.failed === true} onPress={() => fail(true)} />
            <Value name={text.withoutErrors} count={facets.fine} pressed={view.failed === false} onPress={() => fail(false)} />
          </ul>
        </section>
      )}
      <Group title={text.facetServices} facets={facets.services} chosen={view.services} onToggle={toggle('services')} />
      <Group title={text.facetVersions} facets={facets.versions} chosen={view.versions} onToggle={toggle('versions')} />
    </details>
  );
}

interface GroupProperties {
  title: string;
  facets: readonly Facet[];
  chosen: readonly string[];
  onToggle: (name: string) => void;
}

function Group({ title, facets, chosen, onToggle }: GroupProperties) {
  const value = ({ name, count }: Facet) => (
    <Value key={name} name={name} count={count} pressed={chosen.includes(name)} onPress={() => onToggle(name)} />
  );
  // What is chosen stays in sight, whatever was loaded since.
  const known = new Map(facets.map((facet) => [facet.name, facet]));
  const first = facets.slice(0, SEEN);
  const shown = [...first, ...chosen.map((name) => known.get(name) ?? { name, count: 0 }).filter((facet) => !first.includes(facet))];
  const rest = facets.slice(SEEN, LISTED_MAX).filter((facet) => !shown.includes(facet));
  const left = facets.length - LISTED_MAX;
  if (shown.length === 0) return null;
  return (
    <section aria-label={title} role="group">
      <h3>{title}</h3>
      <ul>{shown.map(value)}</ul>
      {rest.length > 0 && (
        <details>
          <summary>{text.others(rest.length)}</summary>
          <ul>{rest.map(value)}</ul>
          {left > 0 && <p class="muted">{text.notShown(left)}</p>}
        </details>
      )}
    </section>
  );
}

interface ValueProperties extends Facet {
  pressed: boolean;
  onPress: () => void;
}

function Value({ name, count, pressed, onPress }: ValueProperties) {
  return (
    <li>
      <button type="button" class="facet" aria-pressed={pressed} onClick={onPress}>
        <bdi title={name}>{name}</bdi>
        <span class="badge-count">{count.toLocaleString('en')}</span>
      </button>
    </li>
  );
}
