// Finds a trace in Zipkin's own UI as a person would, opens it, reads it, and draws the graph.
//
// Arguments: base URL of the UI, directory for screenshots, trace id, and what must be seen as JSON:
// service, root, rows, tag. Exits 1 if something is not visible, or on an error in the console.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [base, screenshots, traceId, expectedJson] = process.argv.slice(2);
const expected = JSON.parse(expectedJson);
const VISIBLE_MAX_MS = 15_000;

// As root in a container, and without the connections Chromium opens by itself.
const CHROMIUM_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: CHROMIUM_ARGUMENTS,
});
const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
page.setDefaultTimeout(VISIBLE_MAX_MS);

const complaints = [];
const requested = [];
page.on('console', (message) => {
  if (message.type() === 'error') complaints.push(message.text());
});
page.on('pageerror', (error) => complaints.push(String(error)));
page.on('requestfailed', (request) => complaints.push(`no answer: ${request.url()}`));
page.on('response', (response) => requested.push(new URL(response.url()).pathname));

const visible = (text) => page.getByText(text, { exact: true }).first().waitFor();
const screenshot = (name) => page.screenshot({ path: join(screenshots, `${name}.png`) });
const runQuery = () => page.getByRole('button', { name: 'Run Query' }).click();

async function search() {
  await page.goto(`${base}/zipkin/`);
  await page.getByTestId('add-button').click();
  const criterion = page.getByTestId('criterion-input');
  await criterion.fill('serviceName');
  await criterion.press('Enter');
  await visible(expected.service); // offered among the names of services
  await page.keyboard.type(expected.service);
  await page.keyboard.press('Enter');
  await runQuery();
  await visible('1 Result');
  await visible(expected.root);
  await screenshot('search');
}

async function openTrace() {
  await page.getByRole('button', { name: 'Show', exact: true }).click();
  await readTrace();
  assert.equal(new URL(page.url()).pathname, `/zipkin/traces/${traceId}`);
  await page.reload(); // the list's answer is gone, so the trace is asked for by its id
  await readTrace();
  assert.ok(requested.includes(`/zipkin/api/v2/trace/${traceId}`), 'the trace is read by its id');
}

async function readTrace() {
  for (const row of expected.rows) await visible(row);
  await page.getByText(expected.rows.at(-1), { exact: true }).last().click();
  for (const text of expected.tag) await visible(text);
  await screenshot('trace');
}

async function drawDependencies() {
  await page.goto(`${base}/zipkin/dependency`);
  const answered = page.waitForResponse((response) =>
    response.url().includes('/zipkin/api/v2/dependencies?'));
  await runQuery();
  const answer = await answered;
  assert.equal(answer.status(), 200);
  assert.ok((await answer.json()).length > 0, 'there are links between services');
  await page.locator('canvas').first().waitFor();
  await screenshot('dependencies');
}

try {
  await search();
  await openTrace();
  await drawDependencies();
  assert.deepEqual(complaints, [], 'the console has no errors');
} catch (error) {
  await screenshot('failed');
  throw error;
} finally {
  await browser.close();
}
