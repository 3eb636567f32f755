/** Searching and one trace: from the form to a span, and everything that goes wrong on the way. */
import assert from 'node:assert/strict';

import { hex, NARROW, WINDOW } from './harness.mjs';

let origin;

/** Names that no other run has left on the server. */
const run = Date.now().toString(36);
const nowMicros = Date.now() * 1000;
const [shopId, largeId, brokenId, unknownId] = [1, 2, 3, 4].map((index) => hex(index) + hex(nowMicros));
const gateway = `gateway-${run}`;

const endpoint = (serviceName, port) => ({ serviceName, ipv4: '10.0.0.7', port });

/** A shop's checkout: shared spans, an error, a version, an annotation, a database that reports nothing. */
function shopTrace() {
  const begin = nowMicros - 30_000_000;
  const call = (id, parentId, from, to, name, at, took, more = {}) => {
    const common = { traceId: shopId, id, parentId };
    const { tags, annotations } = more;
    return [
      { ...common, kind: 'CLIENT', name: 'get', timestamp: begin + at, duration: took, localEndpoint: endpoint(from) },
      {
        ...common,
        kind: 'SERVER',
        shared: true,
        name,
        timestamp: begin + at + 400,
        duration: took - 800,
        localEndpoint: endpoint(to, 8080),
        tags: { 'http.method': 'GET', version: '1.4.3', ...tags },
        annotations,
      },
    ];
  };
  return [
    {
      traceId: shopId,
      id: hex(1),
      kind: 'SERVER',
      name: 'get /checkout',
      timestamp: begin,
      duration: 84_300,
      localEndpoint: endpoint(gateway, 8080),
      tags: { 'http.method': 'GET', 'http.path': '/checkout', version: '2.0.1' },
    },
    ...call(hex(2), hex(1), gateway, 'inventory', 'get /stock', 4_000, 52_000),
    ...call(hex(3), hex(2), 'inventory', 'pricing', 'get /price', 9_000, 22_000),
    ...call(hex(4), hex(2), 'inventory', 'warehouse', 'get /level', 32_000, 21_500, {
      annotations: [{ timestamp: begin + 40_000, value: 'cache miss' }],
    }),
    ...call(hex(5), hex(1), gateway, 'payments', 'post /charge', 58_000, 24_000, {
      tags: { error: 'card declined', 'http.status_code': '502' },
    }),
    {
      traceId: shopId,
      id: hex(6),
      parentId: hex(4),
      kind: 'CLIENT',
      name: 'select',
      timestamp: begin + 42_000,
      duration: 8_000,
      localEndpoint: endpoint('warehouse', 8080),
      remoteEndpoint: { serviceName: 'mysql', ipv4: '10.0.0.9', port: 3306 },
      tags: { 'sql.query': "select level from stock where sku = 'A-113' and warehouse in (1, 2, 3)" },
    },
  ];
}

/** Rows enough that drawing them all would be felt. */
function largeTrace(count) {
  const begin = nowMicros - 60_000_000;
  return Array.from({ length: count }, (_, index) => ({
    traceId: largeId,
    id: hex(index + 1),
    ...(index > 0 && { parentId: hex(Math.floor((index - 1) / 8) + 1) }),
    name: `step ${index}`,
    timestamp: begin + index * 10,
    duration: 1000 + (index % 977) * 100,
    localEndpoint: { serviceName: `batch-${run}` },
  }));
}

/** What broken reporters send: no endpoint, no time, no parent. */
function brokenTrace() {
  return [
    { traceId: brokenId, id: hex(1), parentId: hex(99), timestamp: nowMicros - 5_000_000 },
    { traceId: brokenId, id: hex(2), parentId: hex(1), name: '<b>bold</b>', tags: { '<i>': '</dd><script>' } },
  ];
}

const rowOf = (page, name) => page.getByRole('row', { name });

async function opensATrace({ page, expectQuiet, shot }) {
  await page.goto(`${origin}/zipkin/?serviceName=${gateway}`);
  await page.locator('.result', { hasText: gateway }).click();
  await page.waitForURL(`**/zipkin/traces/${shopId}`);
  await rowOf(page, /^inventory get \/stock, 52 ms/).waitFor();
  const names = await page.locator('.row').evaluateAll((rows) => rows.map((row) => row.ariaLabel?.split(',')[0]));
  assert.deepEqual(names, [
    `${gateway} get /checkout`,
    'inventory get /stock',
    'pricing get /price',
    'warehouse get /level',
    'mysql select',
    'payments post /charge',
  ]);
  const bar = await rowOf(page, /^payments/).locator('.bar').boundingBox();
  const whole = await rowOf(page, /^payments/).locator('.row-time').boundingBox();
  assert.ok(Math.abs((bar.x - whole.x) / whole.width - 58 / 84.3) < 0.01, 'a bar begins where its span does');
  assert.ok(Math.abs(bar.width / whole.width - 24 / 84.3) < 0.01, 'a bar is as long as its span took');
  await shot('trace');

  await rowOf(page, /^warehouse/).getByTitle('Collapse').click();
  await rowOf(page, /^mysql/).waitFor({ state: 'detached' });
  await rowOf(page, /^warehouse/).getByTitle('Expand').click();
  await rowOf(page, /^mysql/).waitFor();

  await rowOf(page, /^payments/).click();
  const panel = page.getByRole('complementary');
  for (const expected of ['card declined', '502', 'post /charge', '10.0.0.7:8080', 'Server finish', hex(5)]) {
    await panel.getByText(expected).first().waitFor();
  }
  assert.equal(new URL(page.url()).searchParams.get('span'), hex(5));
  await shot('span');
  await page.reload();
  await panel.getByText('card declined').waitFor();
  expectQuiet();
}

async function isUsedByKeyboard({ page, expectQuiet }) {
  await page.goto(`${origin}/zipkin/traces/${shopId}`);
  const grid = page.getByRole('treegrid');
  await grid.focus();
  const active = () => grid.getAttribute('aria-activedescendant');
  await page.keyboard.press('ArrowDown');
  assert.equal(await active(), `row-${hex(2)}`);
  await page.keyboard.press('ArrowLeft');
  await rowOf(page, /^pricing/).waitFor({ state: 'detached' });
  await page.keyboard.press('ArrowRight');
  await rowOf(page, /^pricing/).waitFor();
  await page.keyboard.press('End');
  assert.equal(await active(), `row-${hex(5)}`);
  await page.keyboard.press('Enter');
  await page.getByRole('complementary').getByText('card declined').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('complementary').waitFor({ state: 'detached' });
  await page.goto(`${origin}/zipkin/traces/${brokenId.toUpperCase()}`);
  await page.getByText('<b>bold</b>').waitFor();
  await page.getByText('1 span without its parent').waitFor();
  expectQuiet();
}

/** 20,000 spans: few elements, a link to any of them, and no frame that is felt while scrolling. */
async function scrollsALargeTrace({ page, expectQuiet, shot }) {
  const linked = hex(19_990);
  await page.goto(`${origin}/zipkin/traces/${largeId}?span=${linked}`);
  await page.getByRole('complementary').getByText(linked).first().waitFor();
  const row = page.locator(`#row-${linked}`);
  await row.waitFor();
  const [within, around] = [await row.boundingBox(), await page.getByRole('treegrid').boundingBox()];
  assert.ok(within.y >= around.y && within.y + within.height <= around.y + around.height, 'the row is in sight');
  assert.ok((await page.locator('.row').count()) < 100, 'only rows in sight are elements');
  const jumps = await page.evaluate(async () => {
    const scroller = document.querySelector('.timeline-scroller');
    const took = [];
    for (let step = 0; step < 61; step++) {
      scroller.scrollTop = (scroller.scrollHeight / 61) * step;
      const begin = performance.now();
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      took.push(performance.now() - begin);
    }
    return took.sort((a, b) => a - b);
  });
  const [median, slowest] = [jumps[30], jumps[60]].map(Math.round);
  console.log(`large trace: a jump is drawn within ${median} ms, the slowest of ${jumps.length} within ${slowest} ms`);
  // Two frames, and room for a machine that does other things. Drawing every row takes seconds.
  assert.ok(median < 150, `${median} ms`);
  await shot('large');
  expectQuiet();
}

async function saysWhatIsNotThere({ page, complaints, expectQuiet, shot }) {
  await page.goto(`${origin}/zipkin/traces/${unknownId}`);
  await page.getByRole('heading', { name: 'There is no such trace' }).waitFor();
  await shot('not-found');
  // The browser itself reports the 404 that this is about, and nothing else may be wrong.
  assert.equal(complaints.splice(0).filter((complaint) => !complaint.includes('404')).length, 0);
}

async function fitsANarrowWindow({ page, shot }) {
  for (const [name, path] of [
    ['trace', `traces/${shopId}`],
  ]) {
    await page.setViewportSize(NARROW);
    await page.goto(`${origin}/zipkin/${path}`);
    await page.locator('.result, .row').first().waitFor();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= NARROW.width, `${name} is ${width} pixels wide in a window of ${NARROW.width}`);
    await shot(`${name}-narrow`);
  }
  await page.setViewportSize(WINDOW);
}

export async function prepare(server) {
  origin = server.origin;
  await server.post([...shopTrace(), ...largeTrace(20_000), ...brokenTrace()]);
}

export const checks = [
  opensATrace,
  isUsedByKeyboard,
  scrollsALargeTrace,
  saysWhatIsNotThere,
  fitsANarrowWindow,
];
