/**
 * The search within its budgets, as the browser itself measures what a user feels: how soon the largest part of the page is
 * seen on a first visit, and how soon the page answers what is pressed and typed. In one theme only, so that nothing else
 * of these checks runs at the same time; of the page as it is built, not as it is developed.
 *
 * What is asserted is the budget times ROOM, as for long traces; `BUDGET_ROOM=1` asserts the budgets themselves.
 */
import assert from 'node:assert/strict';

import { hex, WINDOW } from './harness.mjs';

const ROOM = Number(process.env.BUDGET_ROOM ?? 5);

/** Milliseconds. The first is of a visit without anything in the cache, from the address on. */
const LARGEST_PAINT_MAX = 600;
const RESULTS_MAX = 800;
const INTERACTION_MAX = 100;

/** Fewer interactions tell nothing of three quarters of them. */
const INTERACTIONS_MIN = 20;

const TRACES = 50;

const run = Date.now().toString(36);
const nowMicros = Date.now() * 1000;
const service = `quick-${run}`;

const address = (search = '') => `?serviceName=${service}&lookback=1h&limit=${TRACES}${search}`;

/** Runs in the page, before anything of it: remembers what the browser measures. */
function observe() {
  window.measured = { paints: [], interactions: {} };
  new PerformanceObserver((list) => {
    for (const { startTime, size, element } of list.getEntries()) window.measured.paints.push({ startTime, size, what: element?.outerHTML.slice(0, 80) });
  }).observe({ type: 'largest-contentful-paint', buffered: true });
  new PerformanceObserver((list) => {
    for (const { interactionId, duration, name } of list.getEntries()) {
      const before = window.measured.interactions[interactionId]?.duration ?? 0;
      if (interactionId > 0 && duration > before) window.measured.interactions[interactionId] = { duration, name };
    }
  }).observe({ type: 'event', durationThreshold: 16, buffered: true });
  new MutationObserver((_, observer) => {
    if (document.querySelectorAll('[data-trace]').length < 10) return;
    window.measured.results = performance.now();
    observer.disconnect();
  }).observe(document, { childList: true, subtree: true });
}

/** A page of a browser that was never here. */
async function visit({ page, origin }, path, doing) {
  const context = await page.context().browser().newContext({ viewport: WINDOW, colorScheme: 'light' });
  try {
    const fresh = await context.newPage();
    await fresh.addInitScript(observe);
    await fresh.goto(`${origin}/zipkin/${path}`);
    await fresh.locator('[data-trace]').nth(TRACES - 1).waitFor();
    await fresh.locator('.search-chart canvas').waitFor();
    return await doing(fresh);
  } finally {
    await context.close();
  }
}

async function isSeenSoon(view) {
  if (view.colorScheme !== 'light') return;
  const { paints, results } = await visit(view, address(), async (page) => {
    await page.waitForTimeout(500);
    return page.evaluate(() => window.measured);
  });
  const largest = paints.at(-1);
  assert.ok(largest, 'the browser measured the largest paint');
  console.log(`search of ${TRACES}: largest paint ${Math.round(largest.startTime)} ms (${largest.what}), results ${Math.round(results)} ms`);
  assert.ok(largest.startTime <= LARGEST_PAINT_MAX * ROOM, `largest paint after ${largest.startTime} ms`);
  assert.ok(results <= RESULTS_MAX * ROOM, `results after ${results} ms`);
}

/** Keys, rows that are chosen, facets, another order: what a search is used by. */
async function interact(page) {
  for (let step = 0; step < 12; step++) await page.keyboard.press(step < 8 ? 'j' : 'k');
  for (let step = 0; step < 3; step++) await page.keyboard.press('x');
  for (const index of [1, 3]) await page.locator('[data-trace] input[type=checkbox]').nth(index).click();
  for (let step = 0; step < 2; step++) await page.locator('.facet').first().click();
  for (const order of ['Slowest', 'Newest']) {
    await page.getByText(order, { exact: true }).click();
    await page.locator('[data-trace]').nth(TRACES - 1).waitFor();
  }
  await page.getByRole('form', { name: 'Search traces' }).getByLabel('Tags and annotations', { exact: true }).pressSequentially('http.method');
  await page.waitForTimeout(500);
}

async function answersAtOnce(view) {
  if (view.colorScheme !== 'light') return;
  const interactions = await visit(view, address(), async (page) => {
    const before = await page.evaluate(() => Object.keys(window.measured.interactions).length);
    await interact(page);
    // Those that took less than a frame or so are not told one by one, but counted.
    return page.evaluate((before) => ({ slow: Object.values(window.measured.interactions).slice(before), all: performance.interactionCount ?? 0 }), before);
  });
  const durations = interactions.slow.map(({ duration }) => duration);
  const all = Math.max(interactions.all, durations.length);
  assert.ok(all >= INTERACTIONS_MIN, `${all} interactions were measured`);
  const sorted = [...Array(all - durations.length).fill(16), ...durations].sort((a, b) => a - b);
  const [p75, worst] = [sorted[Math.ceil(sorted.length * 0.75) - 1], sorted.at(-1)];
  console.log(`search of ${TRACES}: ${all} interactions, until the next paint ${p75} ms at p75, ${worst} ms at most`);
  assert.ok(p75 <= INTERACTION_MAX * ROOM, `three quarters of interactions are answered within ${p75} ms`);
}

export async function prepare(server) {
  await server.post(
    Array.from({ length: TRACES }, (_, index) => ({
      traceId: hex(index + 70_000) + hex(nowMicros),
      id: hex(1),
      kind: 'SERVER',
      name: `get /${index % 7}`,
      timestamp: nowMicros - (index + 1) * 1_000_000,
      duration: 1000 * (index + 1),
      localEndpoint: { serviceName: service, ipv4: '10.0.0.7', port: 8080 },
      tags: { version: index % 2 === 0 ? '1.0' : '2.0', ...(index % 10 === 0 && { error: '' }) },
    })),
  );
}

export const checks = [isSeenSoon, answersAtOnce];
