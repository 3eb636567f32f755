/** Services, one service, one operation: what is busy, slow and failing, since when, and by which deployment. */
import assert from 'node:assert/strict';

import { sendJudged } from '../fixture/judged.mjs';
import { rollout } from '../fixture/rollout.mjs';
import { NARROW, WINDOW } from './harness.mjs';

const name = `-${Date.now().toString(36)}`;
const inventory = `inventory${name}`;
const path = (...parts) => ['services', ...parts.map(encodeURIComponent)].join('/');

/** The page without what it could not show, and without anything that a reader of it would stumble over. */
async function expectPage(view, shotName) {
  view.expectQuiet();
  await view.expectAccessible();
  await view.shot(shotName);
  await view.expectNarrow(shotName);
}

async function listsServices(view, { query }) {
  const { page, open } = view;
  await open(`services?${query}&filter=${name}`);
  const row = page.locator('tr', { hasText: inventory });
  await row.getByText('1.4.3').first().waitFor();
  await row.locator('.sparkline').waitFor();
  await row.getByText('FAIL').waitFor();
  await page.getByText('5 of ').waitFor();
  const cells = (await row.locator('td').allTextContents()).map((text) => text.trim());
  assert.match(cells[1], /\/s$/, cells.join(' | '));
  assert.match(cells[4], /ms$/, 'a p95');
  await expectPage(view, 'services');

  await page.getByLabel('Only with a regressed version live').check();
  await page.waitForURL(/regressed=live/);
  assert.equal(await page.locator('tbody tr').count(), 1);
  await page.getByRole('button', { name: 'p99' }).click();
  await page.waitForURL(/sort=-p99/);
  await page.reload();
  await row.waitFor();
  assert.ok(await page.getByLabel('Only with a regressed version live').isChecked(), 'a reload keeps the filter');
  await page.getByRole('searchbox', { name: 'Filter by name' }).fill('no such service');
  await page.getByRole('heading', { name: 'No service matches' }).waitFor();
  await expectPage(view, 'services-none');
  await page.getByRole('button', { name: 'Show all services' }).click();
  await row.waitFor();
}

async function walksByKeyboard(view, { query }) {
  const { page, open } = view;
  await open(`services?${query}&filter=${inventory}`);
  await page.locator('tr', { hasText: inventory }).waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForURL(new RegExp(`services/${inventory}`));
  assert.ok(new URL(page.url()).searchParams.has('endTs'), 'the time goes along');
  await page.getByRole('heading', { name: inventory }).waitFor();
}

async function showsAService(view, { query }) {
  const { page, open } = view;
  await open(`${path(inventory)}?${query}`);
  const banner = page.getByRole('region', { name: 'A version that made something worse is live' });
  await banner.getByRole('link', { name: 'Read the report' }).waitFor();
  const operations = page.getByRole('region', { name: 'Operations' });
  await operations.getByText('get /stock').waitFor();
  await page.getByRole('slider', { name: 'Duration: moment' }).waitFor();
  const versions = page.getByRole('region', { name: 'Versions' });
  await versions.getByText('1.4.2').waitFor();
  await versions.getByText('1.4.3').waitFor();
  await page.getByRole('region', { name: 'Callers' }).getByText(`gateway${name}`).waitFor();
  await page.getByRole('region', { name: 'Callees' }).getByText(`warehouse${name}`).waitFor();
  await page.locator('canvas').first().waitFor();
  await expectPage(view, 'service');
  await operations.getByRole('link', { name: 'get /price' }).click();
  await page.waitForURL(/get%20%2Fprice\?.*kind=CLIENT/);
}

async function showsAnOperation(view, { query, switchedTs }) {
  const { page, open } = view;
  await open(`${path(inventory, 'get /stock')}?${query}`);
  await page.getByRole('region', { name: 'A version that made something worse is live' }).waitFor();
  const duration = page.getByRole('slider', { name: 'Duration: moment' });
  await duration.locator('canvas').waitFor();
  await page.getByRole('region', { name: 'Callers' }).getByText(`gateway${name} get /checkout`).waitFor();
  await page.getByRole('region', { name: 'Callees' }).getByText(`warehouse${name} get /level`).waitFor();
  await page.getByRole('region', { name: 'Slowest traces' }).locator('tbody tr').first().waitFor();
  await expectPage(view, 'operation');

  await page.getByLabel('Split by version').check();
  await page.waitForURL(/groupBy=version/);
  await duration.getByText('p50 1.4.3').waitFor();
  await duration.getByText('p50 1.4.2').waitFor();
  await page.locator('canvas').first().waitFor();
  await expectPage(view, 'operation-versions');

  await duration.focus();
  await page.keyboard.press('End');
  await page.keyboard.press('ArrowLeft');
  assert.match(await duration.getAttribute('aria-valuetext'), /p50 1\.4\.3 \d/, 'the crosshair is read out');
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.pathname.endsWith('/zipkin/'));
  const found = new URL(page.url()).searchParams;
  assert.equal(found.get('serviceName'), inventory);
  assert.equal(found.get('spanName'), 'get /stock');
  assert.ok(Number(found.get('endTs')) > switchedTs, 'traces of the moment that was chosen');
  await page.locator('.result').first().waitFor();
}

/** The greatest duration of the bin that one is in: an octave has four. */
function binOf(duration) {
  const bits = Math.max(0, Math.floor(Math.log2(duration)) - 2);
  return duration | (2 ** bits - 1);
}

/** Durations are drawn as the server's bins, and a cell leads to the traces in it. */
async function drawsDurations(view, { query }) {
  const { page, open } = view;
  await page.route(/api\/v2\/latency.*histogram=true/, async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    for (const point of body.series[0].points) {
      if (point.count === 0) continue;
      const bins = [0.8, 0.9, 1, 1.1, 1.3].map((factor) => binOf(Math.round(point.p50 * factor)));
      point.histogram = [...new Set([...bins, binOf(point.p99)])].sort((a, b) => a - b).map((bin, index) => [bin, 1 + ((point.count * (7 - index)) >> 4)]);
    }
    await route.fulfill({ response, json: body });
  });
  await open(`${path(inventory, 'get /stock')}?${query}`);
  await page.getByText('Requests in a cell').waitFor();
  const duration = page.getByRole('slider', { name: 'Duration: moment' });
  await duration.locator('canvas').waitFor();
  await duration.scrollIntoViewIfNeeded();
  await expectPage(view, 'operation-heatmap');
  await duration.focus();
  await page.keyboard.press('End');
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.pathname.endsWith('/zipkin/'));
  const found = new URL(page.url()).searchParams;
  const [low, high] = [found.get('minDuration'), found.get('maxDuration')].map((text) => Number(/^(\d+)us$/.exec(text)[1]));
  assert.ok(low < high && high < low * 1.3, `a cell, not more: ${low} to ${high}`);
  await page.unroute(/api\/v2\/latency.*histogram=true/);
}

async function saysWhatIsNotThere(view, { query }) {
  const { page, open } = view;
  await open(`${path(`nobody${name}`)}?${query}`);
  await page.getByRole('heading', { name: 'Nothing is known of' }).waitFor();
  await expectPage(view, 'service-unknown');
  await open(`${path(inventory, 'get /nothing')}?${query}`);
  await page.getByText('Nothing is known of get /nothing').waitFor();
  await page.getByText('No trace of it was found').first().waitFor();
  await expectPage(view, 'operation-unknown');
}

async function survivesAFailure(view, { query }) {
  const { page, open, expectOnly, shot } = view;
  const failing = /api\/v2\/operations/;
  await page.route(failing, (route) => route.fulfill({ status: 503, json: { error: 'the store is on fire' } }));
  await open(`services?${query}`);
  await page.getByText('the store is on fire').waitFor();
  await shot('services-failed');
  await page.unroute(failing);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('tr', { hasText: inventory }).waitFor();
  expectOnly(/503/);
}

async function saysThatItIsPartial(view, { query }) {
  const { page, open, shot } = view;
  await page.route(/api\/v2\/operations/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), 'tracehound-completeness': 'partial; reason="a segment is damaged"' } });
  });
  await open(`services?${query}&filter=${name}`);
  await page.getByText('Not everything was looked at: a segment is damaged').waitFor();
  await shot('services-partial');
  await page.unroute(/api\/v2\/operations/);
}

/** Names that nobody would give, and fields that are not there. */
async function survivesHostileNames(view) {
  const { page, open } = view;
  const long = 'n'.repeat(10_000);
  const operations = [
    { serviceName: long, spanName: '<b>bold</b>', count: 1, errors: 0, rate: 1, beforeCount: 0, change: {} },
    { serviceName: 'مخزن', spanName: long, spanKind: 'SERVER', count: 1, errors: 1, rate: 1, beforeCount: 3, change: { p95: { difference: 3 } } },
  ];
  await page.route(/api\/v2\/operations/, (route) => route.fulfill({ json: { startTs: 0, endTs: 60_000, beforeStartTs: 0, operations } }));
  await open('services');
  await page.getByText('مخزن').waitFor();
  await view.expectNarrow('services-hostile');
  await open(path('مخزن'));
  await page.getByText('<b>bold</b>').waitFor();
  await view.expectNarrow('service-hostile');
  await view.shot('service-hostile');
  // No server takes a name of 10,000 characters in a question about it.
  view.expectOnly(/400/);
  await page.unroute(/api\/v2\/operations/);
}

async function waitsForTheFirstSpan(view) {
  const { page, open } = view;
  await page.route(/api\/v2\/services/, (route) => route.fulfill({ json: [] }));
  await page.route(/api\/v2\/operations/, (route) => route.fulfill({ json: { startTs: 0, endTs: 60_000, beforeStartTs: 0, operations: [] } }));
  await open('services');
  await page.getByRole('heading', { name: 'No spans yet' }).waitFor();
  await expectPage(view, 'services-empty');
  await page.unroute(/api\/v2\/services/);
  await page.unroute(/api\/v2\/operations/);
}

async function isReadInANarrowWindow(view, { query }) {
  const { page, open, shot } = view;
  await page.setViewportSize(NARROW);
  await open(`${path(inventory, 'get /stock')}?${query}`);
  await page.locator('canvas').first().waitFor();
  await shot('operation-narrow');
  await page.setViewportSize(WINDOW);
}

export async function prepare(server) {
  const now = Date.now();
  const sent = rollout({ name, endMicros: now * 1000, minutes: 10 });
  await sendJudged(server, sent);
  return { query: `lookback=15m&endTs=${now}`, switchedTs: sent.switchedTs };
}

export const checks = [
  listsServices,
  walksByKeyboard,
  showsAService,
  showsAnOperation,
  drawsDurations,
  saysWhatIsNotThere,
  survivesAFailure,
  saysThatItIsPartial,
  survivesHostileNames,
  waitsForTheFirstSpan,
  isReadInANarrowWindow,
];
