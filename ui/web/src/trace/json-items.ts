/** Reads a list of JSON objects one by one, as it arrives: of an answer of any length one object is held at a time. */

/** Bytes of one object: no span is as long. */
const ITEM_MAX = 64 * 1024 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Where brackets open and close. */
const OPENS = new Set([0x5b, 0x7b]);
const CLOSES = new Set([0x5d, 0x7d]);

/** Finds where objects of the list begin and end in bytes that come in pieces. */
class Splitter {
  readonly #onItem: (item: Uint8Array[]) => boolean;
  #depth = 0;
  #isBegun = false;
  #inText = false;
  #escaped = false;
  /** What came before of the object that is not over. */
  #held: Uint8Array[] = [];
  #size = 0;

  /** `onItem` gets the bytes of an object and says whether more are wanted. */
  constructor(onItem: (item: Uint8Array[]) => boolean) {
    this.#onItem = onItem;
  }

  get isOver(): boolean {
    return this.#isBegun && this.#depth === 0;
  }

  /** Whether more is wanted. */
  take(bytes: Uint8Array): boolean {
    let begin = this.#depth > 1 ? 0 : -1;
    for (let index = 0; index < bytes.length; index++) {
      const byte = bytes[index] as number;
      if (this.#inText) this.#readText(byte);
      else if (byte === QUOTE) this.#inText = true;
      else if (OPENS.has(byte)) {
        this.#isBegun = true;
        if (++this.#depth === 2) begin = index;
      } else if (CLOSES.has(byte) && --this.#depth === 1) {
        const item = [...this.#held, bytes.subarray(begin, index + 1)];
        this.#held = [];
        this.#size = 0;
        begin = -1;
        if (!this.#onItem(item)) return false;
      }
    }
    if (begin >= 0) this.#hold(bytes.slice(begin));
    return true;
  }

  #readText(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) this.#inText = false;
  }

  #hold(bytes: Uint8Array): void {
    this.#size += bytes.length;
    if (this.#size > ITEM_MAX) throw new Error('One object of the answer is too long.');
    this.#held.push(bytes);
  }
}

/** Gives `onItem` each object until it answers `false`; whether all were given. Throws where the list ends early. */
export async function readItems<T>(stream: ReadableStream<Uint8Array>, onItem: (item: T) => boolean): Promise<boolean> {
  const reader = stream.getReader();
  const splitter = new Splitter((item) => onItem(JSON.parse(textOf(item)) as T));
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    if (splitter.take(next.value)) continue;
    await reader.cancel();
    return false;
  }
  if (!splitter.isOver) throw new Error('The answer ends too early.');
  return true;
}

/** Pieces may end within a character. */
function textOf(pieces: readonly Uint8Array[]): string {
  const decoder = new TextDecoder();
  return pieces.map((piece) => decoder.decode(piece, { stream: true })).join('') + decoder.decode();
}
