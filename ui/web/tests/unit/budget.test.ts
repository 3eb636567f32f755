/** How much the app may weigh: built as it is shipped, and weighed compressed. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build, type Manifest } from 'vite';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const KB = 1024;

/** What the search shows without anything being pressed, although it is loaded piece by piece. */
const SEARCH = ['index.html', 'src/search/index.tsx', 'src/chart/uplot.ts'];

/** Pages by the names of their pieces, as they are loaded when one is seen first; what draws their charts comes later. */
const PAGES = ['trace', 'rollouts', 'services', 'map', 'settings-page'];

let directory: string;
let manifest: Manifest;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'budget-'));
  // Tests run with another environment, in which what helps to develop would be built in and weighed.
  vi.stubEnv('NODE_ENV', 'production');
  await build({ root: ROOT, logLevel: 'error', build: { outDir: directory, emptyOutDir: true, manifest: 'manifest.json' } });
  vi.unstubAllEnvs();
  manifest = JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')) as Manifest;
}, 120_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

const read = (file: string) => readFileSync(join(directory, file));
const gzipped = (files: Iterable<string>) => [...files].reduce((sum, file) => sum + gzipSync(read(file)).length, 0);
const files = (end = '') =>
  readdirSync(join(directory, 'assets'))
    .filter((name) => name.endsWith(end))
    .map((name) => `assets/${name}`);

/** The scripts of some modules, with all that they import at once. */
function scriptsOf(modules: readonly string[]): Set<string> {
  const scripts = new Set<string>();
  const waiting = [...modules];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const chunk = manifest[name];
    if (!chunk) throw new Error(`the build has no ${name}`);
    if (scripts.has(chunk.file)) continue;
    scripts.add(chunk.file);
    waiting.push(...(chunk.imports ?? []));
  }
  return scripts;
}

describe('compressed', () => {
  it('the scripts of the search are at most 60 KB', () => {
    expect(gzipped(scriptsOf(SEARCH))).toBeLessThanOrEqual(60 * KB);
  });

  it.each(PAGES)('the scripts of %s are at most 60 KB', (page) => {
    const piece = Object.keys(manifest).find((key) => manifest[key]?.name === page) ?? page;
    expect(gzipped(scriptsOf(['index.html', piece]))).toBeLessThanOrEqual(60 * KB);
  });

  it('all scripts are at most 160 KB', () => {
    expect(gzipped(files('.js'))).toBeLessThanOrEqual(160 * KB);
  });

  it('all styles are at most 12 KB', () => {
    expect(gzipped(files('.css'))).toBeLessThanOrEqual(12 * KB);
  });

  it('everything, once for each of the two encodings, is at most 400 KB', () => {
    const all = [...files(), 'index.html', 'theme.js', 'favicon.ico'];
    const brotli = all.reduce((sum, file) => sum + brotliCompressSync(read(file)).length, 0);
    expect(gzipped(all) + brotli).toBeLessThanOrEqual(400 * KB);
  }, 60_000);

  it('no font and no map of sources is among it', () => {
    expect(files().filter((file) => !/\.(js|css|svg|ico)$/.test(file))).toEqual([]);
  });
});
