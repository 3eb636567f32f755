/**
 * How the app is bundled. Everything it loads is relative to the page's `<base href>`, so that one build works
 * under any path. `npm run dev` serves the sources and takes data from a server on its usual port, or from the one that
 * `TRACEHOUND` names.
 */
import { defineConfig, type Plugin } from 'vite';

const server = process.env['TRACEHOUND'] ?? 'http://localhost:9411';

/** Sources that are of no single page. */
const SHARED =
  /src\/(shell|chart|api|format|location|settings|keyboard|request|time-range|service-colour|rollouts|few|window|deployment-events)/;

/** Sources of what is around every page. */
const FRAME = /src\/(lazy-page|rollouts|shell\/(top-bar|banners|server|quick-find|not-found))/;

/**
 * How a piece is loaded that other pieces need: those are asked for at the same time. Vite's own does this too, and weighs
 * ten times as much: it also waits for styles, of which there is one file, and for browsers that we do not build for.
 */
const preload: Plugin = {
  name: 'small-preload',
  apply: 'build',
  enforce: 'pre',
  load: {
    filter: { id: /^\0vite\/preload-helper\.js$/ },
    handler: () => `
      const asked = new Set();
      export function __vitePreload(load, needed = [], from) {
        for (const piece of needed) {
          const { href } = new URL(piece, from);
          if (!asked.has(href)) document.head.append(Object.assign(document.createElement('link'), { rel: 'modulepreload', href }));
          asked.add(href);
        }
        return load();
      }`,
  },
};

export default defineConfig(({ command }) => ({
  base: command === 'serve' ? '/zipkin/' : './',
  plugins: [preload],
  build: {
    // The first that know light-dark(), which every colour is written with.
    target: ['chrome123', 'firefox120', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // One file for all pages is a third smaller than a piece for each, and no page is seen before its styles.
    cssCodeSplit: false,
    // Many small pieces compress badly: what most pages use is one, and pages that are seen one after the other are one.
    // A piece takes along what its files import, so what the search needs has pieces of its own, above those of pages.
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'shared', test: SHARED, minShareCount: 3 },
            { name: 'frame', test: FRAME },
            { name: 'question', test: /src\/search\//, minShareCount: 2 },
            { name: 'rollouts', test: /src\/(report|deployments|compare)\// },
            { name: 'services', test: /src\/(services|slo)\// },
          ],
        },
      },
    },
  },
  // Workers load what few of them need when they need it.
  worker: { format: 'es' },
  server: { proxy: { '/api': server, '/zipkin/api': server, '/zipkin/config.json': server } },
}));
