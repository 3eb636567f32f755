/** What is around every page: the bar, the find, the help, the settings, and what is said when the server is gone. */
import assert from 'node:assert/strict';

import { hex, NARROW, WINDOW } from './harness.mjs';

const run = Date.now().toString(36);
const traceId = hex(Date.now() * 1000, 32);
const serviceName = `shell-${run}`;

/** Asked by the shell on every page. */
const DEPLOYMENTS = /api\/v2\/deployments\?limit=100/;

const deployment = (id, verdict, more) => ({
  id,
  serviceName,
  version: `1.0.${id}`,
  startTs: Date.now() - 600_000,
  inferred: false,
  rollback: false,
  ...(verdict && { verdict, score: 40 }),
  ...more,
});

const deploymentsAre = (page, deployments) => page.route(DEPLOYMENTS, (route) => route.fulfill({ json: deployments }));

async function findsWithTheKeyboard({ page, open, shot, expectAccessible, expectOnly }) {
  await deploymentsAre(page, [deployment('1', 'regressed')]);
  await open('settings');
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await page.keyboard.press('Control+k');
  const box = page.getByRole('combobox', { name: 'Trace ID, service' });
  await box.fill(run);
  await page.getByRole('option', { name: `Service ${serviceName}` }).waitFor();
  await shot('find');
  await expectAccessible();
  await box.press('Enter');
  await page.waitForURL('**/zipkin/deployments/1', {});
  await page.keyboard.press('/');
  await box.fill(` ${traceId.toUpperCase()} `);
  await box.press('ArrowDown');
  await box.press('ArrowUp');
  await box.press('Enter');
  await page.waitForURL(`**/zipkin/traces/${traceId}`);
  await page.keyboard.press('Control+k');
  await box.fill('not an id');
  assert.deepEqual(await page.getByRole('listbox').getByRole('option').allTextContents(), ['Search traces fornot an id']);
  await box.press('Escape');
  await box.waitFor({ state: 'detached' });
  await page.unroute(DEPLOYMENTS);
  // The server knows nothing of the deployment that the bar was told of.
  expectOnly(/404/);
}

async function countsWhatRegressed({ page, open, shot, expectAccessible, expectNarrow }) {
  await deploymentsAre(page, [
    deployment('1', 'regressed'),
    deployment('2', 'regressed', { rolledBackTs: Date.now() }),
    deployment('3', 'regressed', { supersededBy: '1' }),
    deployment('4', 'regressed', { startTs: Date.now() - 2 * 86_400_000 }),
    deployment('5', 'unchanged'),
  ]);
  await open('settings');
  await page.getByRole('link', { name: 'Deployments 1 regressed in the last day' }).waitFor();
  await shot('settings');
  await expectAccessible();
  await expectNarrow('settings');
  await page.unroute(DEPLOYMENTS);
}

/** A verdict that changes is said, once however many do. */
async function tellsOfVerdicts({ page, open }) {
  await deploymentsAre(page, [deployment('1', 'insufficient_data')]);
  await open('settings');
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await page.waitForTimeout(300);
  await page.unroute(DEPLOYMENTS);
  await deploymentsAre(page, [deployment('1', 'regressed')]);
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await page.getByRole('status').getByText(`${serviceName} 1.0.1: the verdict is now: FAIL.`).waitFor();
  await page.unroute(DEPLOYMENTS);
}

async function survivesAServerThatIsGone({ page, open, shot, expectOnly, expectAccessible }) {
  await open('settings');
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  const everything = /api\/v2\//;
  await page.route(everything, (route) => route.abort('connectionrefused'));
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await page.getByText('The server does not answer').waitFor();
  await page.getByText(/Next try in [1-4] s/).waitFor();
  await shot('server-gone');
  await expectAccessible();
  await page.getByRole('button', { name: 'Try now' }).click();
  await page.getByText('The server does not answer').waitFor();
  await page.unroute(everything);
  await page.getByText('The server answers again.').waitFor();
  await page.getByText('The server does not answer').waitFor({ state: 'detached' });
  expectOnly(/ERR_CONNECTION_REFUSED/);
}

/** After an upgrade the server's page names another script. */
async function tellsOfANewVersion({ page, open, shot, expectOnly }) {
  await open('settings');
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  const index = /\/zipkin\/$/;
  await page.route(index, (route) => route.fulfill({ contentType: 'text/html', body: '<script src="./assets/other.js">' }));
  await page.route(/api\/v2\//, (route) => route.abort('connectionrefused'));
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await page.getByText('The server does not answer').waitFor();
  await page.unroute(/api\/v2\//);
  await page.getByText('The server has a new version of this page.').waitFor();
  await shot('new-version');
  await page.unroute(index);
  await page.getByRole('button', { name: 'Load again' }).click();
  await page.getByText('The server has a new version of this page.').waitFor({ state: 'detached' });
  expectOnly(/ERR_CONNECTION_REFUSED/);
}

async function keepsSettings({ page, open, expectNarrow, shot }) {
  await open('settings');
  const choose = (group, name) => page.getByRole('group', { name: group }).getByText(name, { exact: true }).click();
  await choose('Theme', 'Dark');
  await choose('Time zone', 'UTC');
  await choose('Rows', 'Dense');
  await choose('Order of a search', 'Slowest');
  await choose('Keys', 'Off');
  await page.reload();
  const root = page.locator('html');
  assert.equal(await root.getAttribute('data-theme'), 'dark');
  assert.equal(await root.getAttribute('data-dense'), '');
  assert.ok(await page.getByRole('group', { name: 'Order of a search' }).getByLabel('Slowest').isChecked());
  await page.keyboard.press('?');
  await page.waitForTimeout(100);
  assert.equal(await page.getByRole('dialog').count(), 0, 'no single key does anything');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox', { name: 'Trace ID, service' }).waitFor();
  await page.keyboard.press('Escape');
  await expectNarrow('settings');
  await page.evaluate(() => localStorage.clear());
  await page.reload();
  await shot('settings');
}

async function goesByKeys({ page, open, shot, expectAccessible }) {
  await open('settings');
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  await page.keyboard.press('?');
  const help = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  await help.getByText('Copy a link to what is shown').waitFor();
  await shot('help');
  await expectAccessible();
  await page.keyboard.press('Escape');
  await help.waitFor({ state: 'hidden' });
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  await page.waitForURL((url) => url.pathname === '/zipkin/');
}

async function saysThatThereIsNoPage({ page, open, shot, expectAccessible, expectNarrow, expectOnly }) {
  await open('no/such/page');
  await page.getByRole('heading', { name: 'There is no such page', level: 2 }).waitFor();
  await shot('no-page');
  await expectAccessible();
  await expectNarrow('404');
  await page.getByRole('main').getByRole('link', { name: 'Traces' }).click();
  await page.waitForURL((url) => url.pathname === '/zipkin/');
  // The server says 404, as it should, and the browser says so.
  expectOnly(/404/);
}

/** The bar fits any window; where it stays, what has the focus is not behind it. */
async function hasABarThatFits({ page, open, shot }) {
  for (const width of [NARROW.width, 480, 768, 1024]) {
    await page.setViewportSize({ width, height: 640 });
    await open('settings');
    await page.getByRole('heading', { name: 'Settings' }).waitFor();
    const size = await page.evaluate(() => [document.documentElement.scrollWidth, document.querySelector('.top-bar').offsetHeight, getComputedStyle(document.querySelector('.top-bar')).position]);
    assert.ok(size[0] <= width, `${size[0]} pixels wide in a window of ${width}`);
    assert.ok(size[2] === 'static' || size[1] <= 64, `a bar that stays is ${size[1]} pixels high at ${width}`);
    await shot(`bar-${width}`);
  }
  await page.setViewportSize(NARROW);
  for (const path of ['deployments', 'map', 'slo']) {
    await open(path);
    const link = page.locator('.top-bar nav [aria-current]');
    await link.waitFor();
    await page.waitForFunction(() => {
      const [bar, current] = ['.top-bar nav', '.top-bar nav [aria-current]'].map((selector) => document.querySelector(selector).getBoundingClientRect());
      return current.left >= bar.left - 1 && current.right <= bar.right + 1;
    });
    await shot(`bar-current-${path}`);
  }
  await page.setViewportSize(WINDOW);
}

/** The theme is the system's, and its text is readable on its ground. */
async function isInTheSystemsColours({ page, open, colorScheme }) {
  await open('');
  const [ground, text] = await page.evaluate(() => {
    const style = getComputedStyle(document.documentElement);
    return [style.backgroundColor, style.color].map((colour) => Number(/\d+/.exec(colour)[0]));
  });
  assert.ok(colorScheme === 'dark' ? ground < 64 && text > 192 : ground > 192 && text < 64, `${ground} ${text}`);
}

export async function prepare(server) {
  const timestamp = (Date.now() - 60_000) * 1000;
  await server.post([{ traceId, id: hex(1), name: 'get /', timestamp, duration: 1000, localEndpoint: { serviceName } }]);
}

export const checks = [
  findsWithTheKeyboard,
  countsWhatRegressed,
  tellsOfVerdicts,
  survivesAServerThatIsGone,
  tellsOfANewVersion,
  keepsSettings,
  goesByKeys,
  saysThatThereIsNoPage,
  hasABarThatFits,
  isInTheSystemsColours,
];
