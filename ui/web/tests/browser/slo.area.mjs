/** Objectives: what is left of their budgets, how one is made, changed and deleted. */
import assert from 'node:assert/strict';

import { sendJudged } from '../fixture/judged.mjs';
import { rollout } from '../fixture/rollout.mjs';
import { NARROW, WINDOW } from './harness.mjs';

const name = `-slo${Date.now().toString(36)}`;
const inventory = `inventory${name}`;
const latency = `latency${name}`;
const idle = `idle${name}`;

async function expectPage(view, shotName) {
  view.expectQuiet();
  await view.expectAccessible();
  await view.shot(shotName);
  await view.expectNarrow(shotName);
}

const rowOf = (page, objective) => page.locator('tr', { hasText: objective });

async function listsBudgets(view) {
  const { page, open } = view;
  await open('slo');
  const row = rowOf(page, latency);
  await row.scrollIntoViewIfNeeded();
  await row.getByText('overspent by').waitFor();
  const cells = (await row.locator('td').allTextContents()).map((text) => text.trim());
  assert.match(cells[3], /of 1,500$/, 'never a share without how many it is of');
  assert.ok(cells.some((text) => /firing/.test(text)), cells.join(' | '));
  const other = rowOf(page, idle);
  await other.scrollIntoViewIfNeeded();
  await other.getByText('no requests').first().waitFor();
  assert.ok(!(await other.textContent()).includes('100'), 'without requests nothing is 100 %');
  await expectPage(view, 'slos');
}

async function showsOne(view) {
  const { page, open } = view;
  await open(`slo/${latency}`);
  await page.getByText('overspent by').first().waitFor();
  await page.getByText('✖ firing').first().waitFor();
  await page.getByRole('region', { name: 'Budget spent by deployment' }).getByText('1.4.3').waitFor();
  await page.getByRole('region', { name: 'A version that made something worse is live' }).waitFor();
  await page.locator('canvas').waitFor();
  await expectPage(view, 'slo');
}

async function saysThatThereIsTooLittle(view) {
  const { page, open } = view;
  await open(`slo/${idle}`);
  await page.getByText('no requests').first().waitFor();
  await page.getByText('not enough requests').first().waitFor();
  await expectPage(view, 'slo-idle');
}

async function isMadeFromAnOperation(view, { query }) {
  const { page, open, colorScheme } = view;
  const made = `made-${colorScheme}${name}`;
  await open(`services/${inventory}/get%20%2Fstock?${query}`);
  await page.getByRole('link', { name: 'Create an SLO' }).click();
  await page.getByRole('button', { name: /^Use \d+/ }).waitFor();
  assert.equal(await page.getByLabel('Service', { exact: true }).inputValue(), inventory);
  assert.equal(await page.getByLabel('Operation', { exact: true }).inputValue(), 'get /stock');
  await page.getByLabel('Share of good requests (%)').fill('101');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('More than 0 and less than 100.').waitFor();
  await page.getByText('A whole number of milliseconds').waitFor();
  await expectPage(view, 'slo-form-errors');
  await page.getByRole('button', { name: /^Use \d+/ }).click();
  await page.getByLabel('Share of good requests (%)').fill('99.5');
  await page.getByLabel('Name', { exact: true }).fill(made);
  await expectPage(view, 'slo-form');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.waitForURL(new RegExp(`slo/${made}`));
  await page.getByText(/99\.5 % within \d+ ms, over 28 days/).waitFor();

  await page.getByRole('button', { name: 'Edit' }).click();
  await page.waitForURL(/edit=true/);
  await page.getByLabel('Over (days)').fill('7');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('over 7 days').waitFor();

  await page.getByRole('button', { name: 'Delete' }).click();
  const dialog = page.getByRole('dialog', { name: `Delete ${made}?` });
  await dialog.waitFor();
  await view.expectAccessible();
  await view.shot('slo-delete');
  await dialog.getByRole('button', { name: 'Keep it' }).click();
  await page.getByRole('button', { name: 'Delete' }).click();
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.waitForURL(/\/slo$/);
  await rowOf(page, latency).waitFor();
  assert.equal(await rowOf(page, made).count(), 0);
}

async function saysWhatTheServerRefuses(view) {
  const { page, open, expectOnly, shot } = view;
  await page.route(/api\/v2\/slos\/.+/, (route) =>
    route.request().method() === 'PUT' ? route.fulfill({ status: 503, json: { error: 'the disk is full' } }) : route.continue(),
  );
  await open(`slo?create=true&serviceName=${inventory}`);
  await page.getByLabel('does not fail').check();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('the disk is full').waitFor();
  await shot('slo-refused');
  await page.unroute(/api\/v2\/slos\/.+/);
  expectOnly(/503/);
}

async function saysThatThereIsNone(view) {
  const { page, open } = view;
  await page.route(/api\/v2\/slos$/, (route) => route.fulfill({ json: [] }));
  await open('slo');
  await page.getByRole('heading', { name: 'No SLO yet' }).waitFor();
  await expectPage(view, 'slos-empty');
  await page.unroute(/api\/v2\/slos$/);
  await open('slo/no-such-objective');
  await page.getByRole('heading', { name: 'There is no SLO named no-such-objective' }).waitFor();
  view.expectOnly(/404/);
  await expectPage(view, 'slo-unknown');
}

async function survivesHostileNames(view) {
  const { page, open } = view;
  const objectives = [
    { name: 'n'.repeat(10_000), serviceName: 'مخزن', indicator: 'latency', thresholdMs: 1, objective: 0.999999, windowDays: 366 },
    { name: '<b>bold</b>', serviceName: 's'.repeat(10_000), spanName: 'x'.repeat(10_000), indicator: 'strange', objective: 0.5, windowDays: 1 },
  ];
  await page.route(/api\/v2\/slos$/, (route) => route.fulfill({ json: objectives }));
  await page.route(/api\/v2\/slos\/.+\/budget/, (route) => route.fulfill({ json: { name: 'x', objective: 0.5, windowDays: 1, startTs: 0, endTs: 0, side: 'server', countedBy: 'duration', valid: 0, good: 0, bad: 0, budgetRequests: 0, burnRates: [], alerts: [] } }));
  await open('slo');
  await page.getByText('<b>bold</b>').waitFor();
  await view.expectNarrow('slos-hostile');
  // Nothing of the page asks the real server for names that were made up.
  await page.goto('about:blank');
  await page.unroute(/api\/v2\/slos$/);
  await page.unroute(/api\/v2\/slos\/.+\/budget/);
}

async function isReadInANarrowWindow(view) {
  const { page, open, shot } = view;
  await page.setViewportSize(NARROW);
  await open(`slo/${latency}`);
  await page.locator('canvas').waitFor();
  await shot('slo-narrow');
  await page.setViewportSize(WINDOW);
}

export async function prepare(server) {
  const now = Date.now();
  await server.ask('PUT', `slos/${latency}`, { serviceName: inventory, indicator: 'latency', thresholdMs: 60, objective: 0.99, windowDays: 28 });
  await server.ask('PUT', `slos/${idle}`, { serviceName: `nobody${name}`, indicator: 'availability', objective: 0.999, windowDays: 28 });
  await sendJudged(server, rollout({ name, endMicros: now * 1000, minutes: 10 }));
  return { query: `lookback=15m&endTs=${now}` };
}

/** Objectives are listed whole, whoever made them, and deleted. */
export const changesWhatAllSee = true;

export const checks = [
  listsBudgets,
  showsOne,
  saysThatThereIsTooLittle,
  isMadeFromAnOperation,
  saysWhatTheServerRefuses,
  saysThatThereIsNone,
  survivesHostileNames,
  isReadInANarrowWindow,
];
