/** The map: who calls whom, what is slow or changed there, as a picture and as tables. */
import assert from 'node:assert/strict';

import { sendJudged } from '../fixture/judged.mjs';
import { rollout } from '../fixture/rollout.mjs';
import { NARROW, WINDOW } from './harness.mjs';

const name = `-map${Date.now().toString(36)}`;
const service = (base) => base + name;
const LINKS = /api\/v2\/dependencies/;

const node = (page, serviceName) => page.locator('.map-node', { hasText: serviceName.slice(0, 20) }).first();

async function expectPage(view, shotName) {
  view.expectQuiet();
  await view.expectAccessible();
  await view.shot(shotName);
  await view.expectNarrow(shotName);
}

/** Answers with these links, whatever is stored. */
async function answerWith(page, links, headers = {}) {
  await page.route(LINKS, (route) => route.fulfill({ json: links, headers }));
}

async function drawsServices(view, { query }) {
  const { page, open } = view;
  await open(`map?${query}&service=${service('inventory')}&depth=1`);
  const inventory = node(page, service('inventory'));
  await inventory.getByText('p95').first().waitFor();
  await page.getByRole('complementary').getByText('FAIL').waitFor();
  for (const other of ['gateway', 'pricing', 'warehouse']) await node(page, service(other)).waitFor();
  assert.equal(await page.locator('.map-node', { hasText: service('payments').slice(0, 20) }).count(), 0, 'payments is two calls away');
  const [left, right] = await Promise.all([node(page, service('gateway')).boundingBox(), node(page, service('pricing')).boundingBox()]);
  assert.ok(left.x < right.x, 'callers are to the left');
  await expectPage(view, 'map');

  await page.locator('.map-controls select').first().selectOption('2');
  await page.waitForURL(/depth=2/);
  await node(page, service('payments')).waitFor();
  await page.getByLabel('Compare p95').selectOption('version');
  await page.waitForURL(/compare=version/);
  await inventory.getByText(/▲ p95 \+\d/).waitFor();
  await expectPage(view, 'map-versions');
  await page.getByLabel('Compare p95').selectOption('before');
  await page.waitForURL(/compare=before/);
  await page.getByText('Changes are not tested').waitFor();
}

async function isUsedByKeyboard(view, { query }) {
  const { page, open } = view;
  await open(`map?${query}&service=${service('gateway')}&depth=1`);
  await node(page, service('inventory')).waitFor();
  await node(page, service('gateway')).focus();
  await page.keyboard.press('ArrowRight');
  const focused = await page.evaluate(() => document.activeElement?.textContent);
  assert.match(focused, /(inventory|payments)-map/, 'the arrow goes to a callee');
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => !url.searchParams.get('service').startsWith('gateway'));
  await page.keyboard.press('+');
  await page.waitForURL(/zoom=/);
  await page.keyboard.press('0');
  await page.waitForURL((url) => !url.searchParams.has('zoom'));
}

async function leadsOn(view, { query }) {
  const { page, open } = view;
  await open(`map?${query}`);
  await node(page, service('pricing')).dispatchEvent('click');
  const details = page.getByRole('complementary', { name: `About ${service('pricing')}` });
  await details.getByText(service('inventory')).waitFor();
  await details.getByRole('button', { name: 'Only what is around it' }).click();
  await page.waitForURL(/depth=1/);
  await details.getByRole('link', { name: 'Its traces' }).click();
  await page.waitForURL((url) => url.searchParams.get('serviceName') === service('pricing'));
  await page.locator('.result').first().waitFor();
}

async function isATable(view, { query }) {
  const { page, open } = view;
  await open(`map?${query}&service=${service('inventory')}&depth=1&view=table`);
  const links = page.getByRole('region', { name: 'Calls between services' });
  await links.locator('tr', { hasText: service('gateway') }).first().waitFor();
  await page.getByRole('region', { name: 'Services', exact: true }).locator('tr', { hasText: service('pricing') }).waitFor();
  await links.getByRole('button', { name: 'Calls' }).click();
  await page.waitForURL(/sort=-calls/);
  await expectPage(view, 'map-table');
}

/** As Zipkin's own page had it. */
async function keepsZipkinsAddress(view, { endTs }) {
  const { page, open } = view;
  await open(`dependency?startTime=${endTs - 900_000}&endTime=${endTs}`);
  await node(page, service('inventory')).waitFor();
}

async function drawsCyclesAndLoops(view) {
  const { page, open } = view;
  await answerWith(page, [
    { parent: 'alpha', child: 'beta', callCount: 1000, p50: 9000, p95: 61_300, p99: 90_000 },
    { parent: 'beta', child: 'alpha', callCount: 10, errorCount: 6, p95: 5000 },
    { parent: 'beta', child: 'beta', callCount: 50, p95: 2000 },
    { parent: 'beta', child: 'gamma', callCount: 5, errorCount: 5 },
  ]);
  await open('map?service=beta');
  await page.locator('.map-label', { hasText: '61.3 ms' }).waitFor();
  assert.equal(await page.locator('.map-place .health-some').count(), 1);
  assert.equal(await page.locator('.map-place .health-many').count(), 1);
  await page.getByRole('complementary').getByText('itself').first().waitFor();
  await expectPage(view, 'map-cycle');
  await open('map?service=beta&view=table');
  const links = page.getByRole('region', { name: 'Calls between services' });
  const cells = (name) => links.locator('tbody tr').filter({ hasText: name }).first().locator('td').allTextContents();
  await links.locator('tbody tr').first().waitFor();
  assert.deepEqual((await cells('alphabeta')).slice(2, 7), ['1,000', '0 %', '9 ms', '61.3 ms', '90 ms']);
  assert.deepEqual((await cells('gamma')).slice(2, 7), ['5', '100 %', '–', '–', '–']);
  await expectPage(view, 'map-cycle-table');
  await page.unroute(LINKS);
}

async function saysThatItIsPartial(view) {
  const { page, open } = view;
  await answerWith(page, [{ parent: 'alpha', child: 'beta', callCount: 1 }], { 'tracehound-completeness': 'partial; reason="a segment is damaged"' });
  await open('map');
  await page.getByText('a segment is damaged').waitFor();
  await page.locator('.map-place svg.map-partial .map-line').first().waitFor({ state: 'attached' });
  await expectPage(view, 'map-partial');
  await page.unroute(LINKS);
}

async function saysThatThereIsNothing(view) {
  const { page, open } = view;
  await answerWith(page, []);
  await open('map');
  await page.getByRole('heading', { name: 'No calls between services' }).waitFor();
  await expectPage(view, 'map-empty');
  await page.getByRole('button', { name: 'Look at the last 7 days' }).click();
  await page.waitForURL(/lookback=7d/);
  await page.unroute(LINKS);
}

async function neverDrawsTooMany(view) {
  const { page, open } = view;
  await answerWith(
    page,
    Array.from({ length: 400 }, (_, index) => ({ parent: `s${index}`, child: `s${(index * 7 + 1) % 400}`, callCount: 400 - index })),
  );
  await open('map');
  await page.getByRole('heading', { name: '400 services are too many' }).waitFor();
  await expectPage(view, 'map-too-many');
  await page.getByRole('button', { name: 's0', exact: true }).click();
  await page.waitForURL(/service=s0/);
  await node(page, 's0').waitFor();
  assert.ok((await page.locator('.map-node').count()) < 10);
  await page.unroute(LINKS);
}

async function survivesAFailure(view, { query }) {
  const { page, open, expectOnly, shot } = view;
  await page.route(LINKS, (route) => route.fulfill({ status: 503, body: 'the store is on fire' }));
  await open(`map?${query}`);
  await page.getByText('the store is on fire').waitFor();
  await shot('map-failed');
  await page.unroute(LINKS);
  await page.getByRole('button', { name: 'Try again' }).click();
  await node(page, service('inventory')).waitFor();
  expectOnly(/503/);
}

async function survivesHostileNames(view) {
  const { page, open } = view;
  await answerWith(page, [
    { parent: 'n'.repeat(10_000), child: 'مخزن', callCount: 1 },
    { parent: 'مخزن', child: '<b>bold</b>', callCount: 0 },
    { parent: '', child: 'مخزن', callCount: 3, errorCount: 3 },
  ]);
  await page.route(/api\/v2\/latency/, (route) => route.fulfill({ json: { serviceName: 'x', startTs: 0, endTs: 1, step: 60_000, side: 'server', series: [] } }));
  await open('map?service=%D9%85%D8%AE%D8%B2%D9%86');
  await node(page, '<b>bold</b>').waitFor();
  await expectPage(view, 'map-hostile');
  await page.unroute(LINKS);
  await page.unroute(/api\/v2\/latency/);
}

async function isSwitchedOff(view) {
  const { page, open } = view;
  const config = await (await fetch(`${view.origin}/zipkin/config.json`)).json();
  await page.route(/config\.json/, (route) => route.fulfill({ json: { ...config, dependency: { enabled: false, lowErrorRate: 0.5, highErrorRate: 0.75 } } }));
  await open('map');
  await page.getByRole('heading', { name: 'The map is switched off' }).waitFor();
  await expectPage(view, 'map-off');
  await page.unroute(/config\.json/);
}

async function isReadInANarrowWindow(view, { query }) {
  const { page, open, shot } = view;
  await page.setViewportSize(NARROW);
  await open(`map?${query}&service=${service('inventory')}&depth=1`);
  await node(page, service('inventory')).waitFor();
  await shot('map-narrow');
  await page.setViewportSize(WINDOW);
}

export async function prepare(server) {
  const now = Date.now();
  await sendJudged(server, rollout({ name, endMicros: now * 1000, minutes: 10 }));
  return { query: `lookback=15m&endTs=${now}`, endTs: now };
}

export const checks = [
  drawsServices,
  isUsedByKeyboard,
  leadsOn,
  isATable,
  keepsZipkinsAddress,
  drawsCyclesAndLoops,
  saysThatItIsPartial,
  saysThatThereIsNothing,
  neverDrawsTooMany,
  survivesAFailure,
  survivesHostileNames,
  isSwitchedOff,
  isReadInANarrowWindow,
];
