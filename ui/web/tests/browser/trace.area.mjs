/** One trace: its lines and bars, moving in it, its other views, a trace from a file, and everything that goes wrong. */
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';

import { chainTrace, hostileTrace, shopTrace } from '../fixture/traces.mjs';
import { hex, NARROW, WINDOW } from './harness.mjs';

/** Names that no other run has left on the server. */
const run = Date.now().toString(36);
const nowMicros = Date.now() * 1000;
const [shopId, chainId, hostileId, unknownId] = [1, 2, 3, 4].map((index) => hex(index) + hex(nowMicros));
const gateway = `gateway-${run}`;
const begin = nowMicros - 30_000_000;

const CHAIN = 100_000;

const rowOf = (page, name) => page.getByRole('row', { name });
const panelOf = (page) => page.getByRole('complementary');
const parameter = (page, name) => new URL(page.url()).searchParams.get(name);
const until = (page, name, value) =>
  page.waitForFunction(([name, value]) => new URLSearchParams(location.search).get(name) === value, [name, value]);
const activeLabel = (page) => page.evaluate(() => document.querySelector('.trace-row.active')?.ariaLabel ?? '');

async function openShop({ page, open }, query = '') {
  await open(`traces/${shopId}${query}`);
  await rowOf(page, /^inventory get \/stock/).waitFor();
}

/** From the first to the last painted pixel of a line's bar, as parts of the bars' place. */
const barOf = (page, name) =>
  page.evaluate((name) => {
    const rows = [...document.querySelectorAll('.trace-row')];
    const row = rows.find((row) => row.ariaLabel.startsWith(name)).getBoundingClientRect();
    const canvas = document.querySelector('.trace-canvas');
    const place = canvas.getBoundingClientRect();
    const ratio = canvas.width / place.width;
    const y = Math.round((row.top + 8 - place.top) * ratio);
    const { data } = canvas.getContext('2d').getImageData(0, y, canvas.width, canvas.height - y);
    const below = (canvas.height - y - 3) * canvas.width * 4;
    const painted = [];
    for (let x = 0; x < canvas.width; x++) {
      const isBar = data[x * 4 + 3] > 0 && [0, 1, 2, 3].some((part) => data[x * 4 + part] !== data[below + x * 4 + part]);
      if (isBar) painted.push(x / canvas.width);
    }
    return { left: painted[0], right: painted.at(-1) };
  }, name);

async function showsATrace({ page, open, shot, expectAccessible }) {
  await openShop({ page, open });
  const names = await page.locator('.trace-row').evaluateAll((rows) => rows.map((row) => row.ariaLabel.split(',')[0]));
  assert.deepEqual(names, [
    `${gateway} get /checkout`,
    'inventory get /stock',
    'pricing get /price',
    'warehouse get /level',
    'warehouse select',
    'warehouse select',
    'payments post /charge',
  ]);
  const bar = await barOf(page, 'payments');
  assert.ok(Math.abs(bar.left - 58 / 84.3) < 0.01, `a bar begins where its span does: ${bar.left}`);
  assert.ok(Math.abs(bar.right - 82 / 84.3) < 0.01, `a bar ends where its span does: ${bar.right}`);
  const facts = (await page.locator('.trace-header').textContent()).replaceAll(/\s+/g, ' ');
  for (const expected of ['84.3 ms', 'Spans21', '1 failed span', 'Merged rows4', shopId]) assert.ok(facts.includes(expected), `${expected}: ${facts}`);
  await shot('trace');
  await expectAccessible();
}

async function opensASpan({ page, open, shot, expectAccessible }) {
  await openShop({ page, open });
  await rowOf(page, /^payments/).click();
  for (const expected of ['card declined', '502', 'post /charge', '10.0.0.7:8080', 'Server finish', hex(5)]) {
    await panelOf(page).getByText(expected).first().waitFor();
  }
  await until(page, 'span', hex(5));
  await shot('trace-span');
  await expectAccessible();
  await page.reload();
  await panelOf(page).getByText('card declined').waitFor();
  assert.match(await activeLabel(page), /^payments/, 'a link to a span shows it');
  await page.getByLabel('Details').selectOption('inline');
  await page.locator('.trace-inline').getByText('card declined').waitFor();
  await panelOf(page).waitFor({ state: 'detached' });
  await until(page, 'detail', 'inline');
  await shot('trace-inline');
  await expectAccessible();
  await page.locator('.trace-inline').getByRole('button', { name: 'Close' }).click();
  await page.locator('.trace-inline').waitFor({ state: 'detached' });
}

async function isUsedByKeyboard({ page, open }) {
  await openShop({ page, open });
  await page.getByRole('treegrid').focus();
  const press = async (key, expected) => {
    await page.keyboard.press(key);
    await page.waitForFunction((text) => document.querySelector('.trace-row.active')?.ariaLabel.startsWith(text), expected);
  };
  await press('ArrowDown', 'inventory');
  await page.keyboard.press('ArrowLeft');
  await rowOf(page, /^pricing/).waitFor({ state: 'detached' });
  await page.keyboard.press('l');
  await rowOf(page, /^pricing/).waitFor();
  await press('End', 'payments');
  await press('Home', gateway);
  await press('j', 'inventory');
  await press('e', 'payments');
  await page.keyboard.press('C');
  await page.waitForFunction(() => document.querySelector('.trace-row.active')?.ariaLabel.includes('on critical path'));
  assert.doesNotMatch(await activeLabel(page), /^payments/);
  await press('m', 'payments');
  await panelOf(page).getByText('card declined').waitFor();
  await page.keyboard.press('Escape');
  await panelOf(page).waitFor({ state: 'detached' });
  await page.keyboard.press(']');
  await page.waitForFunction(() => document.querySelectorAll('.trace-row').length === 3);
  await page.keyboard.press('o');
  await rowOf(page, /^pricing/).waitFor();
  await page.keyboard.press('p');
  await rowOf(page, /^pricing/).waitFor({ state: 'detached' });
  await page.keyboard.press('[');
  await rowOf(page, /^pricing/).waitFor();
  await page.keyboard.press('Home');
  await page.keyboard.press('j');
  await page.keyboard.press('r');
  await until(page, 'root', hex(2));
  await rowOf(page, /^payments/).waitFor({ state: 'detached' });
  await page.keyboard.press('Escape');
  await rowOf(page, /^payments/).waitFor();
  await page.evaluate(() => localStorage.setItem('tracehound.settings', '{"shortcuts":false}'));
  await openShop({ page, open });
  await page.keyboard.press('m');
  await page.keyboard.press('r');
  assert.equal(parameter(page, 'root'), null, 'settings switch single keys off');
  await page.evaluate(() => localStorage.clear());
}

async function zooms({ page, colorScheme, open, expectAccessible, shot }) {
  await openShop({ page, open });
  const strip = await page.locator('.trace-strip').boundingBox();
  await page.mouse.move(strip.x + strip.width / 2, strip.y + 20);
  await page.mouse.down();
  await page.mouse.move(strip.x + strip.width - 40, strip.y + 20, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/t0=/);
  const t0 = Number(parameter(page, 't0'));
  assert.ok(Math.abs(t0 - 42_150) < 1000, `dragged from the middle: ${t0}`);
  await page.getByRole('textbox', { name: 'From' }).fill('58ms');
  await page.getByRole('textbox', { name: 'To' }).fill('82ms');
  await page.keyboard.press('Enter');
  await page.waitForURL(/t0=58000&t1=82000/);
  const bar = await barOf(page, 'payments');
  assert.ok(bar.left < 0.01 && bar.right > 0.99, `the bar fills its place: ${bar.left} ${bar.right}`);
  await shot('trace-zoomed');
  await expectAccessible();
  await page.reload();
  await rowOf(page, /^payments/).waitFor();
  assert.equal(await page.getByRole('textbox', { name: 'From' }).inputValue(), '58ms');
  await page.getByRole('slider', { name: 'End of the stretch' }).focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('End');
  await page.waitForURL(/t1=84300/);
  // What is half written stays where something else is drawn anew.
  await page.getByRole('textbox', { name: 'From' }).fill('soon');
  await page.emulateMedia({ colorScheme: colorScheme === 'dark' ? 'light' : 'dark' });
  await page.waitForTimeout(300);
  await page.emulateMedia({ colorScheme });
  assert.equal(await page.getByRole('textbox', { name: 'From' }).inputValue(), 'soon');
  await page.keyboard.press('Tab');
  await page.locator('.trace-stretch [aria-invalid="true"]').waitFor();
  await page.getByRole('treegrid').focus();
  await page.keyboard.press('0');
  await page.waitForURL((url) => !url.search.includes('t0='));
  await page.keyboard.press('+');
  await page.waitForURL(/t0=21075&t1=63225/);
  await page.keyboard.press('d');
  await page.waitForURL(/t0=31613&t1=73763/);
}

async function groupsRepeats({ page, open, shot, expectAccessible }) {
  await openShop({ page, open });
  const group = rowOf(page, /^warehouse select, 12 times, shortest 900 µs, median 900 µs, longest 1.3 ms/);
  await group.waitFor();
  assert.equal(await page.locator('.trace-row[data-span]', { hasText: 'select' }).count(), 1, 'only the slowest is shown');
  assert.equal(await page.locator('.trace-row[data-span]', { hasText: 'select' }).getAttribute('data-span'), hex(107));
  await group.click();
  await page.waitForFunction(() => document.querySelectorAll('.trace-row').length === 18);
  await shot('trace-repeats');
  await expectAccessible();
  await open(`traces/${shopId}?span=${hex(103)}`);
  await page.locator(`[data-span="${hex(103)}"]`).waitFor();
}

async function hidesServices({ page, open, shot, expectAccessible }) {
  await openShop({ page, open });
  await page.locator('.trace-services summary').click();
  await page.getByRole('checkbox', { name: 'warehouse' }).uncheck();
  await page.getByRole('checkbox', { name: 'payments' }).uncheck();
  await until(page, 'hide', 'warehouse,payments');
  await rowOf(page, '1 span hidden, 1 failed').waitFor();
  await shot('trace-hidden');
  await expectAccessible();
  await page.reload();
  await rowOf(page, '13 spans hidden').waitFor();
  await rowOf(page, '13 spans hidden').click();
  await rowOf(page, /^payments/).waitFor();
}

async function findsText({ page, open, shot }) {
  await openShop({ page, open });
  const field = page.getByRole('textbox', { name: 'Find in this trace' });
  await field.fill('sku = \'A-117');
  await page.getByText('1 match', { exact: true }).waitFor();
  await field.press('Enter');
  await page.waitForFunction((id) => document.querySelector('.trace-row.active')?.dataset.span === id, hex(104));
  await field.fill('GET /');
  await page.getByText('4 matches').waitFor();
  await page.getByRole('button', { name: 'Next match' }).click();
  await page.getByText('1 of 4').waitFor();
  await page.getByRole('treegrid').focus();
  await page.keyboard.press('N');
  await page.getByText('4 of 4').waitFor();
  await until(page, 'q', 'GET /');
  await shot('trace-find');
  await page.reload();
  await page.getByText('of 4').or(page.getByText('4 matches')).first().waitFor();
  await field.fill('nowhere to be found');
  await page.getByText('No match').waitFor();
}

async function showsOtherViews({ page, open, shot, expectAccessible }) {
  await openShop({ page, open });
  await page.getByRole('button', { name: 'Operations' }).click();
  const table = page.getByRole('table');
  await table.getByText('select').waitFor();
  await table.getByText('…', { exact: true }).first().waitFor({ state: 'detached' });
  await table.getByRole('columnheader', { name: 'Usual for this version' }).waitFor();
  assert.match(await table.getByRole('row', { name: /inventory/ }).first().locator('td').last().textContent(), /\d ms p95 \d/);
  const row = (await table.getByRole('row', { name: /select/ }).textContent()).replaceAll(/\s+/g, ' ');
  for (const expected of ['12', '11.2 ms', '1.3 ms']) assert.ok(row.includes(expected), `${expected} in ${row}`);
  await table.getByRole('button', { name: 'Calls' }).click();
  await page.waitForURL(/sort=-calls/);
  assert.match(await table.getByRole('row').nth(1).textContent(), /select/);
  await shot('trace-table');
  await expectAccessible();
  await table.getByRole('button', { name: '1.3 ms' }).click();
  await until(page, 'span', hex(107));
  await page.getByRole('button', { name: 'Flame graph' }).click();
  await page.waitForURL(/view=flame/);
  await page.getByRole('button', { name: 'Close' }).click();
  const canvas = page.locator('.trace-flame canvas');
  await canvas.click({ position: { x: 40, y: 10 } });
  await until(page, 'span', hex(1));
  await shot('trace-flame');
  await expectAccessible();
  await page.reload();
  await canvas.waitFor();
}

/** Spans with nothing in them, loops, days between clocks, markup, text from right to left. */
async function survivesBrokenSpans({ page, open, shot, expectAccessible }) {
  await open(`traces/${hostileId}`);
  await page.getByText('<b>bold</b>').first().waitFor();
  await page.getByText('2 spans without their parent').or(page.getByText('1 span without its parent')).first().waitFor();
  await shot('trace-hostile');
  await expectAccessible();
  await rowOf(page, /<b>bold/).click();
  await panelOf(page).getByText('</dd><script>').waitFor();
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await page.getByRole('treegrid').focus();
  for (const key of ['Home', 'e', 'm', 'c', 'n', ']', '[', '+', '0', 'End']) await page.keyboard.press(key);
  for (const view of ['Flame graph', 'Operations', 'Timeline']) await page.getByRole('button', { name: view }).click();
  await page.locator('.trace-row').first().waitFor();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= WINDOW.width, `${width} pixels`);
}

/** As deep as it is long: everything that walks up or down has to be a loop, and short. */
async function survivesDepth({ page, open, shot }) {
  await open(`traces/${chainId}?span=${hex(CHAIN - 3)}`);
  await page.locator(`[data-span="${hex(CHAIN - 3)}"]`).waitFor({ timeout: 60_000 });
  await shot('trace-deep');
  await page.getByRole('treegrid').focus();
  for (const key of ['Home', 'm', 'C', 'p', 'o', ']', '[']) await page.keyboard.press(key);
  for (const view of ['Flame graph', 'Operations', 'Timeline']) {
    await page.getByRole('button', { name: view }).click();
    await page.waitForTimeout(100);
  }
  await page.locator('.trace-row').first().waitFor();
}

/** Tags of so long a trace are read when somebody wants to find one. */
async function readsTheRest({ page, open, shot, expectAccessible, expectNarrow, expectOnly }) {
  await page.route(/api\/v2\/trace\/\w+$/, (route) => route.fulfill({ status: 503, json: { error: 'busy' } }));
  await open(`traces/${chainId}`);
  await page.getByText('Tags and annotations of so many spans (100,000) are not read').waitFor({ timeout: 60_000 });
  const field = page.getByRole('textbox', { name: 'Find in this trace' });
  await field.fill('the last one');
  await page.getByText('No match').waitFor();
  await shot('trace-tags-left');
  await expectAccessible();
  await expectNarrow('a trace whose tags are left');
  await page.getByRole('button', { name: 'Read them' }).click();
  await page.getByText('Tags and annotations could not be read: busy').waitFor();
  await page.unroute(/api\/v2\/trace\/\w+$/);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('1 match', { exact: true }).waitFor({ timeout: 60_000 });
  assert.equal(await page.getByText('Tags and annotations').count(), 0);
  expectOnly(/503/);
  await page.route(/traceView\/\w+$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ json: { ...(await response.json()), notes: [{ kind: 'truncated', total: 1_234_567 }] } });
  });
  await openShop({ page, open });
  const notes = page.locator('.trace-notes');
  await notes.getByText('of 1,234,567 rows are shown').waitFor();
  assert.equal(await notes.getByRole('link', { name: 'Download JSON' }).getAttribute('download'), `${shopId}.json`);
  await page.unroute(/traceView\/\w+$/);
}

async function looksAgainForWhatIsNotThere({ page, open, shot, expectAccessible, expectOnly }) {
  await page.clock.install();
  let asked = 0;
  page.on('request', (request) => (asked += Number(request.url().includes(`traceView/${unknownId}`))));
  await open(`traces/${unknownId}`);
  await page.getByRole('heading', { name: 'There is no such trace' }).waitFor();
  await page.getByText('Looking again by itself (1 of 3)').waitFor();
  await shot('trace-not-found');
  await expectAccessible();
  for (const attempt of ['(2 of 3)', '(3 of 3)', 'Looked again 3 times']) {
    await page.clock.runFor(10_000);
    await page.getByText(attempt).waitFor();
  }
  assert.equal(asked, 4, 'asked once and three times again');
  await open('traces/not-an-id');
  await page.getByText('should be 1 to 32 hexadecimal digits').waitFor();
  expectOnly(/404/);
}

async function readsAFile({ page, open, shot, expectAccessible, expectOnly }) {
  await open('traceViewer');
  await page.getByRole('heading', { name: 'Look at a trace from a file' }).waitFor();
  await shot('trace-upload');
  await expectAccessible();
  const other = shopTrace({ traceId: hex(77), gateway: 'other', begin }).slice(0, 3);
  const spans = shopTrace({ traceId: hex(76), gateway: 'filed', begin });
  const file = { name: 'two traces.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify([...spans, ...other])) };
  await page.getByLabel('Choose a file').setInputFiles(file);
  await rowOf(page, /^filed get \/checkout/).waitFor();
  await rowOf(page, /^payments/).click();
  await panelOf(page).getByText('card declined').waitFor();
  await shot('trace-uploaded');
  await expectAccessible();
  await page.getByLabel('Traces in this file').selectOption(hex(77));
  await rowOf(page, /^other get \/checkout/).waitFor();
  await page.getByRole('button', { name: 'Another file' }).click();
  await page.getByLabel('Choose a file').setInputFiles({ name: 'bad.json', mimeType: 'application/json', buffer: Buffer.from('{"spans"') });
  await page.getByText('bad.json could not be read').waitFor();
  expectOnly(/400/);
}

/** As Jaeger's UI saves a trace: two services, one of which fails. */
function jaegerTrace() {
  const traceID = 'beef';
  const tag = (key, value) => ({ key, type: typeof value === 'boolean' ? 'bool' : 'string', value });
  const span = (spanID, processID, operationName, from, duration, tags, more) => ({ traceID, spanID, processID, operationName, startTime: begin + from, duration, tags, logs: [], references: [], ...more });
  const fields = [tag('event', 'gave up'), tag('attempt', '3')];
  return {
    data: [
      {
        traceID,
        spans: [
          span('1', 'p1', 'GET /ride', 0, 90_000, [tag('span.kind', 'server')]),
          span('2', 'p2', 'FindNearest', 10_000, 60_000, [tag('span.kind', 'server'), tag('error', true)], {
            references: [{ refType: 'CHILD_OF', traceID, spanID: '1' }],
            logs: [{ timestamp: begin + 50_000, fields }],
          }),
        ],
        processes: { p1: { serviceName: 'frontend', tags: [tag('service.version', '3.1')] }, p2: { serviceName: 'driver', tags: [tag('ip', '10.0.0.8')] } },
      },
    ],
    total: 0,
    errors: null,
  };
}

async function readsAFileOfJaegers({ page, open, shot, expectAccessible, expectOnly }) {
  await open('traceViewer');
  const choose = (name, content) => page.getByLabel('Choose a file').setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(content) });
  const trace = jaegerTrace();
  await choose('ride.json', JSON.stringify(trace));
  await rowOf(page, /^frontend get \/ride/).waitFor();
  await rowOf(page, /^driver findnearest/).click();
  for (const told of ['gave up', '10.0.0.8', 'error']) await panelOf(page).getByText(told).first().waitFor();
  await shot('trace-jaeger');
  await expectAccessible();
  await page.getByRole('button', { name: 'Another file' }).click();
  await choose('ride.json.gz', gzipSync(JSON.stringify(trace)));
  await rowOf(page, /^frontend get \/ride/).waitFor();
  await page.getByRole('button', { name: 'Another file' }).click();
  await choose('zipkin.json.gz', gzipSync(JSON.stringify(shopTrace({ traceId: hex(76), gateway: 'zipped', begin }))));
  await rowOf(page, /^zipped get \/checkout/).waitFor();
  await page.getByRole('button', { name: 'Another file' }).click();
  trace.data[0].spans[1].startTime = 'yesterday';
  await choose('bad.json', JSON.stringify(trace));
  await page.getByText('data[0].spans[1].startTime: expected a whole number of microseconds, got "yesterday"').waitFor();
  await shot('trace-jaeger-bad');
  await choose('longer.json.gz', gzipSync(`{"data":"${'x'.repeat(65 << 20)}"}`));
  await page.getByText('longer.json.gz could not be read').waitFor();
  await page.getByText(/inflates to more than \d+ bytes/).waitFor();
  expectOnly(/413/);
}

/** Addresses of logs and of an archive are configured; both know the trace. */
async function leadsElsewhere({ page, open, origin, expectAccessible }) {
  const archived = [];
  const config = { ...(await (await fetch(`${origin}/zipkin/config.json`)).json()) };
  Object.assign(config, {
    logsUrl: 'https://logs.example/{traceId}?span={spanId}&from={startTs}',
    archivePostUrl: `${origin}/archive/api/v2/spans`,
    archiveUrl: 'https://archive.example/zipkin/traces/{traceId}',
  });
  await page.route(/config\.json/, (route) => route.fulfill({ json: config }));
  await page.route(/\/archive\//, (route) => {
    archived.push(...route.request().postDataJSON());
    return route.fulfill({ status: 202 });
  });
  await openShop({ page, open });
  await page.getByRole('button', { name: 'Archive' }).click();
  const link = page.getByRole('link', { name: 'See the archived trace' });
  await link.waitFor();
  assert.equal(await link.getAttribute('href'), `https://archive.example/zipkin/traces/${shopId}`);
  assert.equal(archived.length, 21);
  assert.deepEqual(archived.filter(({ tags }) => tags?.['zipkin.archived']).map(({ id }) => id), [hex(1)]);
  await rowOf(page, /^payments/).click();
  const logs = await panelOf(page).getByRole('link', { name: 'Logs' }).getAttribute('href');
  assert.equal(logs, `https://logs.example/${shopId}?span=${hex(5)}&from=${Math.floor(begin / 1000)}`);
  await expectAccessible();
  await page.getByRole('button', { name: 'Copy as Markdown' }).click();
  await page.getByText('The summary is copied').waitFor();
  const markdown = await page.evaluate(() => navigator.clipboard.readText());
  for (const expected of [`**${gateway} get /checkout** – 84.3 ms`, page.url(), '| payments post /charge | 1 | 1 |']) {
    assert.ok(markdown.includes(expected), `${expected} in ${markdown}`);
  }
  await page.unroute(/config\.json/);
  await page.unroute(/\/archive\//);
}

async function warnsOfADeployment({ page, open, shot, expectAccessible }) {
  const deployment = (id, verdict, version) => ({
    id,
    serviceName: 'inventory',
    version,
    startTs: Date.now() - 600_000,
    inferred: false,
    rollback: false,
    verdict,
  });
  const deployments = [deployment('a1', 'regressed', '1.4.3'), deployment('a2', 'regressed', '1.4.2'), deployment('a3', 'unchanged', '1.4.3')];
  await page.route(/api\/v2\/deployments\?endTs/, (route) => route.fulfill({ json: deployments }));
  await openShop({ page, open });
  const banner = page.getByRole('region', { name: 'This trace went through' });
  await banner.waitFor();
  assert.equal((await banner.getByRole('link').all()).length, 1);
  assert.match(await banner.textContent(), /inventory 1\.4\.3, deployed 10 min ago: .*FAIL/);
  await shot('trace-banner');
  await expectAccessible();
  assert.match(await banner.getByRole('link').getAttribute('href'), /\/zipkin\/deployments\/a1$/);
  await page.unroute(/api\/v2\/deployments\?endTs/);
}

/** A server that fails says why, and is asked again. */
async function survivesAFailure({ page, open, shot, expectOnly }) {
  await page.route(/traceView/, (route) => route.fulfill({ status: 503, json: { error: 'the store is on fire' } }));
  await open(`traces/${shopId}`);
  await page.getByText('the store is on fire').waitFor();
  await shot('trace-failure');
  await page.unroute(/traceView/);
  await page.getByRole('button', { name: 'Try again' }).click();
  await rowOf(page, /^payments/).waitFor();
  expectOnly(/503|404/);
}

async function fitsANarrowWindow({ page, open, shot, expectAccessible }) {
  await page.setViewportSize(NARROW);
  for (const [name, path] of [
    ['trace', `traces/${shopId}`],
    ['trace-span', `traces/${shopId}?span=${hex(5)}`],
    ['trace-table', `traces/${shopId}?view=table`],
    ['trace-flame', `traces/${shopId}?view=flame`],
    ['trace-hostile', `traces/${hostileId}`],
    ['trace-upload', 'traceViewer'],
  ]) {
    await open(path);
    await page.locator('.trace-row, .trace-table table, .trace-flame canvas, .trace-drop').first().waitFor();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= NARROW.width, `${name} is ${width} pixels wide in a window of ${NARROW.width}`);
    await shot(`${name}-narrow`);
    await expectAccessible();
  }
  await open(`traces/${shopId}`);
  const row = rowOf(page, /^payments/);
  await row.waitFor();
  const boxes = await row.evaluate((element) => [...element.children].map((cell) => cell.getBoundingClientRect().toJSON()));
  const [name, duration, time] = boxes;
  assert.ok(name.width > 0.6 * NARROW.width, `the name has ${name.width} pixels`);
  assert.ok(duration.right <= NARROW.width && time.width > 0.9 * NARROW.width && time.top >= name.bottom, JSON.stringify(boxes));
  // What is painted is where the lines are: in the foot of this one, and nothing through its name.
  const painted = await page.evaluate((at) => {
    const canvas = document.querySelector('.trace-canvas');
    const place = canvas.getBoundingClientRect();
    const ratio = canvas.width / place.width;
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const from = (y) => Math.round((y - place.top) * ratio) * canvas.width * 4;
    return at.map((y) => data.slice(from(y), from(y) + canvas.width * 4).some((value) => value > 0));
  }, [name.top + 6, time.top + 6]);
  assert.deepEqual(painted, [false, true]);
  await page.setViewportSize(WINDOW);
}

export async function prepare(server) {
  await server.post([
    ...shopTrace({ traceId: shopId, gateway, begin }),
    ...hostileTrace({ traceId: hostileId, begin }),
    ...chainTrace({ traceId: chainId, count: CHAIN, begin, name: `-${run}` }),
  ]);
}

export const checks = [
  showsATrace,
  opensASpan,
  isUsedByKeyboard,
  zooms,
  groupsRepeats,
  hidesServices,
  findsText,
  showsOtherViews,
  survivesBrokenSpans,
  survivesDepth,
  readsTheRest,
  readsAFile,
  readsAFileOfJaegers,
  leadsElsewhere,
  warnsOfADeployment,
  survivesAFailure,
  fitsANarrowWindow,
  looksAgainForWhatIsNotThere,
];
