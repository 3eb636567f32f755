/** Colours for what is painted and not styled: canvases cannot use custom properties by themselves. */
import { useEffect, useState } from 'preact/hooks';

import { useSettings } from '../settings';

/** The value of a token of `style/tokens.css` as the theme has it now: `tokenColour('--link')`. */
export function tokenColour(token: string): string {
  // Only a property that is a colour resolves light-dark(); a custom property hands it on as it is written.
  const probe = document.createElement('span');
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

/** Another value whenever the theme becomes another one: what was painted has to be painted again. */
export function useThemeName(): string {
  const { theme } = useSettings();
  const [dark, setDark] = useState(() => matchMedia('(prefers-color-scheme: dark)').matches);
  useEffect(() => {
    const query = matchMedia('(prefers-color-scheme: dark)');
    const update = () => setDark(query.matches);
    query.addEventListener('change', update);
    return () => query.removeEventListener('change', update);
  }, []);
  return theme === 'system' ? (dark ? 'dark' : 'light') : theme;
}
