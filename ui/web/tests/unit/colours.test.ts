/** Colours are named in one file, so that both themes have them all. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const SOURCES = join(import.meta.dirname, '../../src');
const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((path) => /\.(css|tsx?)$/.test(path));

it.each(files.filter((path) => path !== join('style', 'tokens.css')))('%s names no colour of its own', (path) => {
  const source = readFileSync(join(SOURCES, path), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
  const own = source.match(/(?<![&\w])#(?:[0-9a-f]{8}|[0-9a-f]{6}|[0-9a-f]{3,4})\b(?!-)|\b(?:rgba?|hsla?|oklch)\(/gi);
  expect(own).toBeNull();
});
