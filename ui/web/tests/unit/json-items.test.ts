/** Reading a list of JSON objects as it arrives. */
import { describe, expect, it } from 'vitest';

import { readItems } from '../../src/trace/json-items';

const ITEMS = [{}, { a: '}],"[{\\' }, { b: { c: [[1], { d: 'é€😀' }] } }, [2, [3]], { e: '"\\"' }];

/** The bytes in pieces of a size, so that ends are everywhere: within escapes, characters, and between objects. */
function streamOf(text: string, size: number): { stream: ReadableStream<Uint8Array>; cancelled: () => boolean } {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  let isCancelled = false;
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
    cancel: () => {
      isCancelled = true;
    },
  });
  return { stream, cancelled: () => isCancelled };
}

describe('a list', () => {
  it.each([1, 2, 3, 7, 1000])('in pieces of %d bytes is all there', async (size) => {
    for (const text of [JSON.stringify(ITEMS), JSON.stringify(ITEMS, null, 2)]) {
      const items: unknown[] = [];
      expect(await readItems(streamOf(text, size).stream, (item) => items.push(item) > 0)).toBe(true);
      expect(items).toEqual(ITEMS);
    }
  });

  it('is left as soon as no more is wanted', async () => {
    const items: unknown[] = [];
    const { stream, cancelled } = streamOf(JSON.stringify(ITEMS), 5);
    expect(await readItems(stream, (item) => items.push(item) < 2)).toBe(false);
    expect(items).toEqual(ITEMS.slice(0, 2));
    expect(cancelled()).toBe(true);
  });

  it('without objects has none', async () => {
    expect(await readItems(streamOf('[]', 1).stream, () => expect.fail('there is none'))).toBe(true);
  });

  it.each(['', '[{"a":1},{"b"', '[{"a":1}', '[{"a":"'])('that ends early is no list: %s', async (text) => {
    await expect(readItems(streamOf(text, 4).stream, () => true)).rejects.toThrow('ends too early');
  });

  it('with nonsense is none', async () => {
    await expect(readItems(streamOf('[{a}]', 4).stream, () => true)).rejects.toThrow(SyntaxError);
  });
});
