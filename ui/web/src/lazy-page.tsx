/** A page that is loaded when it is first shown. */
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { Message } from './shell/message';
import { text } from './shell/text';

type Loaded<P> = { component: ComponentType<P> } | { failed: true };

/** The component that a module has as its default; what was loaded once is there at once the next time. */
export function lazyPage<P extends object>(load: () => Promise<{ default: ComponentType<P> }>): ComponentType<P> {
  let loaded: Loaded<P> | undefined;
  return function LazyPage(properties: P) {
    const [state, setState] = useState(loaded);
    useEffect(() => {
      if (loaded && 'component' in loaded) return;
      let here = true;
      const arrive = (arrived: Loaded<P>) => {
        loaded = arrived;
        if (here) setState(arrived);
      };
      load().then(
        (module) => arrive({ component: module.default }),
        () => arrive({ failed: true }),
      );
      return () => {
        here = false;
      };
    }, []);
    if (!state) return null;
    if ('failed' in state) return <Outdated />;
    const Component = state.component;
    return <Component {...properties} />;
  };
}

/** A piece that is not there any more: the server was upgraded while the page was open. */
function Outdated() {
  return (
    <main class="page">
      <Message title={text.outdated} tone="error">
        <p>{text.outdatedWhy}</p>
        <button type="button" class="primary" onClick={() => location.reload()}>
          {text.reload}
        </button>
      </Message>
    </main>
  );
}
