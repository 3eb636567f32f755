/** Words that a user reads are in `text.ts` files, so that they can be translated: none stands in a component. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const SOURCES = join(import.meta.dirname, '../../src');

/** Attributes that are read or shown. */
const SHOWN = new Set(['title', 'aria-label', 'placeholder', 'alt', 'label']);

/** Names of programs and the like, which no language has other words for. */
const NAMES = new Set(['Tracehound', 'curl']);

const components = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.tsx'));

/** Text with letters that stands in a component, each as `file:line text`. */
function wordsIn(path: string, source: string): string[] {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const found: string[] = [];
  const note = (node: ts.Node, text: string) => {
    const words = text.replaceAll(/\s+/g, ' ').trim();
    if (!/\p{Letter}{2}/u.test(words) || NAMES.has(words)) return;
    found.push(`${path}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1} ${words}`);
  };
  const walk = (node: ts.Node) => {
    if (ts.isJsxText(node)) note(node, node.text);
    if (ts.isJsxAttribute(node) && SHOWN.has(node.name.getText())) {
      const value = node.initializer;
      if (value && ts.isStringLiteral(value)) note(node, value.text);
    }
    if (ts.isJsxExpression(node) && node.expression && ts.isStringLiteralLike(node.expression)) {
      if (ts.isJsxElement(node.parent) || ts.isJsxFragment(node.parent)) note(node, node.expression.text);
    }
    ts.forEachChild(node, walk);
  };
  walk(file);
  return found;
}

describe('words in components', () => {
  it('are found', () => {
    const source = '<p title="Some words">more <b>{"and more"}</b> {text.fine} 12 <i class="no-words" /></p>';
    expect(wordsIn('a.tsx', source)).toEqual(['a.tsx:1 Some words', 'a.tsx:1 more', 'a.tsx:1 and more']);
  });

  it.each(components)('%s has none', (path) => {
    expect(wordsIn(path, readFileSync(join(SOURCES, path), 'utf8'))).toEqual([]);
  });
});
