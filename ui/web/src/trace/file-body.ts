/** What is sent of a file: the file as it is, or Zipkin's spans where it has Jaeger's, which the server does not read. */

/** Jaeger's JSON longer than this is not made into anything: the server then says what it does not take. */
const JSON_MAX = 64 << 20;

export interface FileBody {
  body: Blob;
  headers: Record<string, string>;
}

/** Throws what is wrong with a file of Jaeger's, and where; of others the server tells. */
export async function bodyOf(file: Blob): Promise<FileBody> {
  const isPacked = await isGzip(file);
  const whole = { body: file, headers: isPacked ? { 'content-encoding': 'gzip' } : {} };
  const json = await objectIn(file, JSON_MAX);
  if (json === undefined) return whole;
  const { isJaeger, spansOfJaeger } = await import('./jaeger');
  if (!isJaeger(json)) return whole;
  const spans = new Blob([JSON.stringify(spansOfJaeger(json))]);
  // A span is longer in Zipkin's words: packed, it stays within the bound of what the file itself may be sent with.
  const packed = await new Response(spans.stream().pipeThrough(new CompressionStream('gzip'))).blob();
  return { body: packed, headers: { 'content-encoding': 'gzip' } };
}

/** A file's bytes, unpacked. */
export async function unpacked(file: Blob): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  return (await isGzip(file)) ? file.stream().pipeThrough(new DecompressionStream('gzip')) : file.stream();
}

async function isGzip(file: Blob): Promise<boolean> {
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return first === 0x1f && second === 0x8b;
}

/** What a file is that is one JSON object of at most so many bytes; else `undefined`, after as few of them as tell. */
async function objectIn(file: Blob, max: number): Promise<unknown> {
  const reader = (await unpacked(file)).getReader();
  const decoder = new TextDecoder();
  const texts: string[] = [];
  let [isObject, size] = [false, 0];
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      size += next.value.length;
      const text = decoder.decode(next.value, { stream: true });
      texts.push(text);
      isObject ||= text.trimStart().startsWith('{');
      if (size <= max && (isObject || text.trim() === '')) continue;
      await reader.cancel();
      return undefined;
    }
    return JSON.parse(texts.join('') + decoder.decode());
  } catch {
    // Damaged, or no JSON: the server, which gets it as it is, says so and where.
    return undefined;
  }
}
