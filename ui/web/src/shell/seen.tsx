/** Says once that something has come into sight, or is about to: what it needs is asked for only then. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

interface Properties {
  name: string;
  /** Another function is told again. */
  onSeen: (name: string) => void;
  children: ComponentChildren;
}

export function Seen({ name, onSeen, children }: Properties) {
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        observer.disconnect();
        onSeen(name);
      },
      { rootMargin: '200px' },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [name, onSeen]);
  return <span ref={place}>{children}</span>;
}
