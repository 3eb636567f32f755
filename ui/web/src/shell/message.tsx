/** What is said where content would be: nothing found, something failed. What happened, and what to do next. */
import type { ComponentChildren } from 'preact';

interface Properties {
  title: string;
  tone?: 'plain' | 'error';
  children?: ComponentChildren;
}

export function Message({ title, tone = 'plain', children }: Properties) {
  return (
    <section class={`message message-${tone}`} role={tone === 'error' ? 'alert' : undefined}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}
