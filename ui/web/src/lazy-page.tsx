/** A page that is loaded when it is first shown. */
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { Message } from './shell/message';
import { text } from './shell/text';

type Loaded<P> = { component: ComponentType<P> } | { failed: true };

/** A page that `begin` loads before it is shown, by whoever knows that it will be. */
type LazyPage<P> = ComponentType<P> & { begin: () => void };

/** The component that a module has as its default; what was loaded once is there at once the next time. */
export function lazyPage<P extends object>(load: () => Promise<{ default: ComponentType<P> }>): LazyPage<P> {
  let loaded: Loaded<P> | undefined;
  let loading: Promise<void> | undefined;
  const begin = () => {
    loading ??= load().then(
      (module) => {
        loaded = { component: module.default };
      },
      () => {
        loaded = { failed: true };
        // Whoever comes again asks again.
        loading = undefined;
      },
    );
    return loading;
  };
  function Page(properties: P) {
    const [state, setState] = useState(loaded);
    useEffect(() => {
      // Not whether it is there by now: that may have come after this was drawn.
      if (state && 'component' in state) return;
      let here = true;
      begin().then(() => {
        if (here) setState(loaded);
      });
      return () => {
        here = false;
      };
    }, []);
    if (!state) return null;
    if ('failed' in state) return <Outdated />;
    const Component = state.component;
    return <Component {...properties} />;
  }
  return Object.assign(Page, { begin: () => void begin() });
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
