/** Jaeger's JSON, as its API answers it and its UI saves it, made into Zipkin's spans; and what is sent of a file. */
import { describe, expect, it } from 'vitest';

import { bodyOf } from '../../src/trace/file-body';
import { readFile } from '../../src/trace/file-spans';
import { isJaeger, spansOfJaeger } from '../../src/trace/jaeger';

const tag = (key: string, value: unknown) => ({ key, type: typeof value, value });

const span = (more: object = {}) => ({
  traceID: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanID: 'a2fb4a1d1a96d312',
  operationName: 'GET /checkout',
  startTime: 1_700_000_000_000_000,
  duration: 5000,
  processID: 'p1',
  ...more,
});

const fileOf = (spans: unknown, processes: unknown = { p1: { serviceName: 'web', tags: [tag('ip', '10.0.0.1'), tag('service.version', '1.2')] } }) => ({
  data: [{ traceID: '4bf92f3577b34da6a3ce929d0e0e4736', spans, processes }],
});

const spansOf = (...spans: object[]) => spansOfJaeger(fileOf(spans));

describe("a file of Jaeger's", () => {
  it('is one where it has data', () => {
    expect([{ data: [] }, { data: null }, { resourceSpans: [] }, { data: [], resourceSpans: [] }, [], null, 'data'].map(isJaeger)).toEqual([true, true, false, false, false, false, false]);
  });

  it('has the spans, with the process as local endpoint and tags', () => {
    expect(spansOf(span())).toEqual([
      {
        traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
        id: 'a2fb4a1d1a96d312',
        name: 'GET /checkout',
        timestamp: 1_700_000_000_000_000,
        duration: 5000,
        localEndpoint: { serviceName: 'web', ipv4: '10.0.0.1' },
        tags: { 'service.version': '1.2' },
      },
    ]);
  });

  it('has identifiers of any length, as Zipkin has them', () => {
    const [one] = spansOf(span({ traceID: '00000000000000000ABC', spanID: '1' }));
    expect([one?.traceId, one?.id]).toEqual(['0000000000000abc', '0000000000000001']);
    expect(spansOf(span({ traceID: `1${'0'.repeat(19)}` }))[0]?.traceId).toBe(`${'0'.repeat(12)}1${'0'.repeat(19)}`);
  });

  it('has tags in the fields that Zipkin has for them', () => {
    const tags = [tag('span.kind', 'client'), tag('peer.service', 'db'), tag('peer.ipv4', 167_772_162), tag('peer.port', '5432'), tag('http.status_code', 200), tag('cached', true), tag('service.version', '2'), tag('error', false)];
    const [one] = spansOf(span({ tags }));
    expect(one?.kind).toBe('CLIENT');
    expect(one?.remoteEndpoint).toEqual({ serviceName: 'db', ipv4: '10.0.0.2', port: 5432 });
    expect(one?.tags).toEqual({ 'service.version': '2', 'http.status_code': '200', cached: 'true' });
    const [other] = spansOf(span({ tags: [tag('span.kind', 'internal'), tag('peer.service', 'Db'), tag('peer.ipv6', 'nowhere'), tag('peer.port', 0), tag('error', true), tag('__proto__', 'x')] }));
    expect(other?.kind).toBeUndefined();
    expect(Object.entries(other?.tags ?? {})).toEqual([['service.version', '1.2'], ['span.kind', 'internal'], ['peer.service', 'Db'], ['peer.ipv6', 'nowhere'], ['peer.port', '0'], ['error', 'true'], ['__proto__', 'x']]);
  });

  it('has the parent that Jaeger takes, and other references as links', () => {
    const here = '4bf92f3577b34da6a3ce929d0e0e4736';
    const reference = (refType: string, spanID: string, traceID = here) => ({ refType, traceID, spanID });
    const parents = [[reference('FOLLOWS_FROM', '5'), reference('CHILD_OF', '6'), reference('CHILD_OF', '7', 'bb')], [reference('FOLLOWS_FROM', '5')], [reference('CHILD_OF', '7', 'bb')], []].map((references) => spansOf(span({ references }))[0]);
    expect(parents.map((one) => one?.parentId)).toEqual(['0000000000000006', '0000000000000005', undefined, undefined]);
    expect(parents.map((one) => (JSON.parse(one?.tags?.['otel.links'] ?? '[]') as { spanId: string }[]).map(({ spanId }) => spanId.at(-1)))).toEqual([['5', '7'], ['5'], ['7'], []]);
    expect(spansOf(span({ parentSpanID: '9', references: [reference('CHILD_OF', '6')] }))[0]?.parentId).toBe('0000000000000009');
    expect(spansOf(span({ parentSpanID: '' }))[0]?.parentId).toBeUndefined();
  });

  it('has logs as annotations, and warnings', () => {
    const logs = [
      { timestamp: 1_700_000_000_000_001, fields: [tag('event', 'retry')] },
      { timestamp: 1_700_000_000_000_002, fields: [tag('message', 'failed'), tag('attempt', 2)] },
      { fields: [tag('level', 'info')] },
    ];
    const [one] = spansOf(span({ logs, warnings: ['clock skew'] }));
    expect(one?.annotations).toEqual([
      { timestamp: 1_700_000_000_000_001, value: 'retry' },
      { timestamp: 1_700_000_000_000_002, value: '"failed":{"attempt":2}' },
      { timestamp: 1_700_000_000_000_000, value: '{"level":"info"}' },
    ]);
    expect(one?.tags?.['jaeger.warnings']).toBe('["clock skew"]');
  });

  it('has durations as Zipkin has them', () => {
    expect([0, -1, 7].map((duration) => spansOf(span({ duration }))[0]?.duration)).toEqual([1, undefined, 7]);
  });

  it('may have the process with the span, and several traces', () => {
    const inline = span({ processID: undefined, process: { serviceName: 'inner' } });
    const file = { data: [...fileOf([span()]).data, ...fileOf([inline], {}).data] };
    expect(spansOfJaeger(file).map(({ localEndpoint }) => localEndpoint?.serviceName)).toEqual(['web', 'inner']);
  });

  it.each([
    [{ data: 5 }, 'data: expected a list, got 5'],
    [{ data: [] }, 'The file has no spans'],
    [{ data: null, errors: [{ code: 404, msg: 'trace not found' }] }, 'what Jaeger said instead of one: "trace not found"'],
    [{ data: ['x'] }, 'data[0]: expected an object, got "x"'],
    [{ data: [{ traceID: '1' }] }, 'data[0].spans: expected a list, got nothing'],
    [fileOf([span(), span({ spanID: 'xyz' })]), 'data[0].spans[1].spanID: expected up to 16 hexadecimal digits that are not all zero, got "xyz"'],
    [fileOf([span({ spanID: '0' })]), 'spans[0].spanID: expected up to 16'],
    [fileOf([span({ traceID: 'a'.repeat(33) })]), 'spans[0].traceID: expected up to 32'],
    [fileOf([span({ startTime: '5' })]), 'spans[0].startTime: expected a whole number of microseconds, got "5"'],
    [fileOf([span({ duration: undefined })]), 'spans[0].duration: expected a whole number of microseconds, got nothing'],
    [fileOf([span({ processID: 'p9' })]), 'spans[0].processID: expected the name of one of the processes, got "p9"'],
    [fileOf([span()], { p1: {} }), 'data[0].processes.p1.serviceName: expected text, got nothing'],
    [fileOf([span({ tags: [tag('a', 1), { value: 2 }] })]), 'spans[0].tags[1].key: expected text, got nothing'],
    [fileOf([span({ logs: [{ timestamp: 'now', fields: [] }] })]), 'spans[0].logs[0].timestamp: expected a whole number'],
    [fileOf([span({ references: [{ traceID: '1' }] })]), 'spans[0].references[0].spanID: expected'],
    [fileOf([span({ operationName: 'x'.repeat(9), startTime: 'y'.repeat(900) })]), `got "${'y'.repeat(59)}…`],
  ])('says what is wrong with it, and where: %#', (file, expected) => {
    expect(() => spansOfJaeger(file)).toThrow(expected);
  });

  it('may not ask for more than there is room for', () => {
    const processes = { p1: { serviceName: 'web', tags: [tag('long', 'x'.repeat(1 << 20))] } };
    expect(() => spansOfJaeger(fileOf(Array.from({ length: 70 }, () => span()), processes))).toThrow('data[0].spans[63]: tags of processes');
  });
});

describe('what is sent of a file', () => {
  const packed = async (text: string) => new Response(new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))).blob();

  it('is the file where the server reads it', async () => {
    for (const text of ['[{"traceId":"1"}]', ' {"resourceSpans":[]}', '{"data"', 'thrift', '']) {
      const file = new Blob([text]);
      expect(await bodyOf(file)).toEqual({ body: file, headers: {} });
      const zip = await packed(text);
      expect(await bodyOf(zip)).toEqual({ body: zip, headers: { 'content-encoding': 'gzip' } });
    }
  });

  it("is Zipkin's spans, packed, of Jaeger's", async () => {
    const text = `\n ${JSON.stringify(fileOf([span()]))}`;
    for (const file of [new Blob([text]), await packed(text)]) {
      const { body, headers } = await bodyOf(file);
      expect(headers).toEqual({ 'content-encoding': 'gzip' });
      expect(await readFile(body)).toEqual(spansOf(span()));
    }
  });

  it("says what is wrong with Jaeger's", async () => {
    await expect(bodyOf(new Blob(['{"data":[{}]}']))).rejects.toThrow('data[0].spans: expected a list');
  });
});
