/** One of the numbered parts of the evidence. */
import type { ComponentChildren } from 'preact';

import { text } from './text';

/** In the order in which they are shown and numbered. */
export const PANELS = ['where', 'why', 'sure', 'shape', 'proof', 'impact', 'score'] as const;

export type PanelName = (typeof PANELS)[number];

export function Panel({ name, children }: { name: PanelName; children: ComponentChildren }) {
  return (
    <section class="report-panel" id={`panel-${name}`} aria-labelledby={`panel-${name}-title`}>
      <h2 id={`panel-${name}-title`}>
        <span class="report-number">{PANELS.indexOf(name) + 1}</span>
        {text.panelTitles[name]}
      </h2>
      {children}
    </section>
  );
}
