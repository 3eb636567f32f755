/** What pages share: which shortcut a key is, and the order of a table. */
import { describe, expect, it } from 'vitest';

import { type ShortcutGroup, shortcutOf } from '../../src/keyboard';
import { type Column, inOrder } from '../../src/shell/data-table';

const group = (title: string, ...keys: string[]): ShortcutGroup => ({
  title,
  shortcuts: keys.map((key) => ({ keys: [key], text: `${title} ${key}`, run: () => undefined })),
});

describe('a key', () => {
  const groups = [group('everywhere', 't', 'g t', '?'), group('page', 't')];

  it.each([
    ['', 't', 'page t'],
    ['g', 't', 'everywhere g t'],
    ['x', '?', 'everywhere ?'],
    ['', 'g', undefined],
  ])('after "%s": %s', (before, key, text) => {
    expect(shortcutOf(groups, before, key)?.text).toBe(text);
  });
});

describe('the order of a table', () => {
  const columns: Column<{ name: string; size?: number }>[] = [
    { key: 'name', title: 'Name', cell: (row) => row.name, sortBy: (row) => row.name },
    { key: 'size', title: 'Size', cell: (row) => row.size, sortBy: (row) => row.size },
    { key: 'other', title: 'Other', cell: () => '' },
  ];
  const rows = [{ name: 'b', size: 2 }, { name: 'c' }, { name: 'a', size: 3 }];
  const names = (sort: string) => inOrder(rows, columns, sort).map(({ name }) => name).join('');

  it.each([
    ['', 'bca'],
    ['name', 'abc'],
    ['-name', 'cba'],
    ['size', 'bac'],
    ['-size', 'abc'],
    ['other', 'bca'],
    ['-nothing', 'bca'],
  ])('by "%s"', (sort, expected) => {
    expect(names(sort)).toBe(expected);
  });
});
