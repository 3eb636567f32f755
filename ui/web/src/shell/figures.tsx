/** Figures side by side, each below its name. */
import type { ComponentChildren } from 'preact';

export interface Figure {
  name: string;
  value: ComponentChildren;
}

export function Figures({ figures }: { figures: readonly Figure[] }) {
  return (
    <dl class="figures">
      {figures.map(({ name, value }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
