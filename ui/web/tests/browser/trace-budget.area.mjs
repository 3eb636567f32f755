/**
 * Long traces within their budgets: first paint, scrolling, zooming, finding, memory. It is measured in one theme only,
 * so that nothing else of these checks runs at the same time.
 *
 * What is asserted is the budget times ROOM: these checks share small machines with compilers. `BUDGET_ROOM=1` asserts
 * the budgets themselves, for a machine that does nothing else.
 */
import assert from 'node:assert/strict';

import { largeTrace } from '../fixture/traces.mjs';
import { hex } from './harness.mjs';

const ROOM = Number(process.env.BUDGET_ROOM ?? 5);

/** A frame of a display; none comes sooner, so what is above it is what was late. Milliseconds. */
const FRAME = 1000 / 60;

const nowMicros = Date.now() * 1000;
const begin = nowMicros - 900_000_000;

/** Milliseconds and mebibytes. */
const TRACES = [
  { count: 10_000, id: hex(8) + hex(nowMicros), paint: 500, frame: 16, find: 200, heap: 80 },
  { count: 100_000, id: hex(9) + hex(nowMicros), paint: 1500, frame: 33, find: 200, heap: 300 },
];

const percentile = (values, part) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];

/** How long each of some frames took in which something was done: from doing it until the next frame begins. */
const framesOf = (page, doing) =>
  page.evaluate(async (doing) => {
    const scroller = document.querySelector('.trace-scroller');
    const band = document.querySelector('.trace-axis-time').getBoundingClientRect();
    const steps = {
      scroll: (step) => (scroller.scrollTop = step * 311),
      jump: (step) => (scroller.scrollTop = (scroller.scrollHeight / 60) * step),
      zoom: (step) => {
        const more = { bubbles: true, cancelable: true, ctrlKey: true, deltaY: step < 30 ? -60 : 60, clientX: band.x + band.width / 3, clientY: 400 };
        scroller.dispatchEvent(new WheelEvent('wheel', more));
      },
    };
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    const took = [];
    await frame();
    for (let step = 1; step <= 60; step++) {
      const from = performance.now();
      steps[doing](step);
      await frame();
      took.push(performance.now() - from);
    }
    scroller.scrollTop = 0;
    return took;
  }, doing);

/** From the last letter until the number of matches is there. */
async function findTime(page, text) {
  await page.getByRole('textbox', { name: 'Find in this trace' }).focus();
  return page.evaluate(async (text) => {
    const field = document.querySelector('.trace-find input');
    const status = document.querySelector('.trace-find [role=status]');
    field.value = text;
    const from = performance.now();
    field.dispatchEvent(new Event('input', { bubbles: true }));
    while (!/match/.test(status.textContent)) await new Promise((done) => setTimeout(done, 1));
    return performance.now() - from;
  }, text);
}

/** The page's own: objects and the columns. The worker's copy is not in it. */
async function heapOf(page) {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize, backingStorageSize = 0 } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return (usedSize + backingStorageSize) / 1024 / 1024;
}

async function measure({ page, open, shot }, { count, id, paint, frame, find, heap }) {
  await open('settings');
  await open(`traces/${id}`);
  await page.waitForFunction(() => performance.getEntriesByName('trace-painted').length > 0, null, { timeout: 120_000 });
  const painted = await page.evaluate(() => performance.getEntriesByName('trace-painted')[0].startTime);
  const answered = await page.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.includes('traceView')).map(({ responseEnd }) => responseEnd)[0]);
  await page.waitForTimeout(1000);
  const frames = {};
  for (const doing of ['scroll', 'jump', 'zoom']) frames[doing] = percentile(await framesOf(page, doing), 0.95);
  const found = await findTime(page, 'step 17');
  const used = await heapOf(page);
  await shot(`trace-${count}`);
  const milliseconds = Object.entries(frames).map(([doing, took]) => `${doing} ${took.toFixed(1)} ms`);
  console.log(
    `${count} spans: first paint ${Math.round(painted)} ms (the answer after ${answered ? Math.round(answered) : '?'} ms), frames at p95 ${milliseconds.join(', ')}, found within ${Math.round(found)} ms, heap ${used.toFixed(1)} MiB; ${await page.locator('.trace-row').count()} rows are elements`,
  );
  assert.ok((await page.locator('.trace-row').count()) < 100, 'only rows in sight are elements');
  assert.ok(painted <= paint * ROOM, `first paint after ${painted} ms`);
  for (const [doing, took] of Object.entries(frames)) assert.ok(took <= (FRAME + frame) * ROOM, `${doing}: ${took} ms`);
  assert.ok(found <= find * ROOM, `found within ${found} ms`);
  // Memory does not depend on what else the machine does.
  assert.ok(used <= heap, `heap of ${used} MiB`);
}

async function isQuickWith10kSpans(view) {
  if (view.colorScheme === 'light') await measure(view, TRACES[0]);
}

async function isQuickWith100kSpans(view) {
  if (view.colorScheme === 'light') await measure(view, TRACES[1]);
}

export async function prepare(server) {
  for (const { count, id } of TRACES) await server.post(largeTrace({ traceId: id, count, begin }));
}

export const checks = [isQuickWith10kSpans, isQuickWith100kSpans];
