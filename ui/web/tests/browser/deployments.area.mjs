/** The list of deployments: what became of each, filters that are in the address, and how the first one gets there. */
import assert from 'node:assert/strict';

import { regressed } from '../fixture/reports.mjs';
import { rollout } from '../fixture/rollout.mjs';

const run = Date.now().toString(36);

export async function prepare(server) {
  const { spans, deployments, service } = rollout({ name: `-list-${run}`, endMicros: Date.now() * 1000, perMinute: 60 });
  await server.post(spans);
  const ids = [];
  for (const deployment of deployments) ids.push((await server.ask('POST', 'deployments', deployment)).id);
  await server.ask('PUT', `slos/list-${run}`, { serviceName: service('inventory'), indicator: 'latency', thresholdMs: 50, objective: 0.9, windowDays: 28 });
  for (const id of ids) await server.ask('GET', `deployments/${id}/report`);
  return { ids, service };
}

const rows = (page) => page.locator('.data-table tbody tr:not(.group)');

async function listsWhatWasDeployed({ page, open, shot, expectAccessible, expectNarrow, expectQuiet }, { ids, service }) {
  await open(`deployments?serviceName=${service('inventory')}`);
  const row = rows(page).filter({ hasText: service('inventory') });
  // What began where is an analysis of every deployment that is not finished.
  await row.getByText(`${service('inventory')} get /stock`).waitFor();
  const words = (await row.textContent()).replaceAll(/\s+/g, ' ');
  for (const expected of ['FAIL', '1.4.2 → 1.4.3', 'prod, rolling, 4 instances', '(80 s)', `${service('inventory')} get /stock`, 'declared']) {
    assert.ok(words.includes(expected), `"${expected}" in: ${words}`);
  }
  assert.match(words, /\+(19|20)(\.\d)? ms95 %: \+19/);
  await row.getByText(/^−\d+(\.\d)? %/).waitFor();
  assert.equal(await row.getByRole('link', { name: `list-${run}`, exact: true }).getAttribute('href'), `/zipkin/slo/list-${run}`);
  await open('deployments');
  const harmless = rows(page).filter({ hasText: service('payments') });
  await harmless.getByText('PASS').waitFor();
  await harmless.getByTitle('Its service has no SLO').waitFor();
  assert.match(await page.locator('tr.group').first().textContent(), /^\d{4}-\d\d-\d\d, today$/);
  await shot('deployments');
  await expectAccessible();
  await expectNarrow('deployments');
  await row.getByRole('link', { name: `Report of ${service('inventory')} 1.4.3` }).click();
  await page.waitForURL(`**/deployments/${ids[0]}`);
  await page.locator('.report-lead').waitFor();
  expectQuiet();
}

async function isFiltered({ page, open, expectQuiet }, { service }) {
  await open('deployments');
  await page.getByRole('combobox', { name: 'Service' }).fill(service('payments'));
  await page.getByRole('combobox', { name: 'Service' }).press('Enter');
  await page.waitForURL(/serviceName=payments-list/);
  await page.waitForFunction(() => document.querySelectorAll('.data-table tbody tr:not(.group)').length === 1);
  await page.getByRole('combobox', { name: 'Verdict' }).selectOption({ label: 'Regressed' });
  await page.getByRole('heading', { name: 'No deployment matches' }).waitFor();
  await page.reload();
  assert.equal(await page.getByRole('combobox', { name: 'Verdict' }).inputValue(), 'regressed');
  assert.equal(await page.getByRole('combobox', { name: 'Service' }).inputValue(), service('payments'));
  await page.getByRole('button', { name: 'All of them' }).click();
  await page.waitForURL((url) => !url.search.includes('serviceName'));
  await rows(page).first().waitFor();
  await page.goBack();
  await page.getByRole('heading', { name: 'No deployment matches' }).waitFor();
  await open(`deployments?serviceName=${service('inventory')}`);
  await page.getByRole('combobox', { name: 'Verdict' }).selectOption({ label: 'FAIL' });
  await page.getByRole('combobox', { name: 'Kind' }).selectOption({ label: 'rolling' });
  await page.getByRole('combobox', { name: 'Source' }).selectOption({ label: 'Declared' });
  await page.waitForURL(/verdict=fail&kind=rolling&source=declared/);
  await rows(page).getByText('FAIL').waitFor();
  await page.getByRole('combobox', { name: 'Source' }).selectOption({ label: 'Inferred from spans' });
  await page.getByRole('heading', { name: 'No deployment matches' }).waitFor();
  expectQuiet();
}

/** A copied link shows the same later: it says when the time ended. */
async function isHandedOn({ page, open, expectQuiet }, { service }) {
  await open(`deployments?serviceName=${service('payments')}`);
  await rows(page).first().waitFor();
  await page.keyboard.press('y');
  await page.getByText('The link is copied.').waitFor();
  const link = new URL(await page.evaluate(() => navigator.clipboard.readText()));
  assert.equal(link.searchParams.get('serviceName'), service('payments'));
  assert.ok(Math.abs(Number(link.searchParams.get('endTs')) - Date.now()) < 120_000, link.href);
  expectQuiet();
}

async function isWalkedByKeyboard({ page, open, expectQuiet }, { ids, service }) {
  await open(`deployments?serviceName=${service('inventory')}`);
  await rows(page).first().waitFor();
  await page.keyboard.press('j');
  await page.locator('tr.active').waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/deployments/${ids[0]}`);
  expectQuiet();
}

/** States that take long to come about. */
function states() {
  const { deployment } = regressed();
  const at = Date.now();
  const { endTs: _, ...open } = deployment;
  const of = (id, more, base = deployment) => ({ ...base, id, startTs: at - 3_600_000, endTs: at - 3_000_000, ...more });
  return [
    { ...open, id: 'going', startTs: at - 60_000, instances: deployment.instances.slice(0, 3) },
    { ...open, id: 'early', startTs: at - 60_000, verdict: 'insufficient_data', instances: deployment.instances.map(({ ip }, index) => ({ ip, switchTs: at + (index - 2) * 3_600_000 + 1_800_000 })) },
    { ...open, id: 'suspect', startTs: at - 60_000, verdict: 'regressed', score: 12.9 },
    of('nobody-looked', {}),
    of('little', { verdict: 'insufficient_data', inferred: true, instances: [], strategy: undefined }),
    of('nearly', { verdict: 'regressed', score: 81 }),
    of('faster', { verdict: 'improved', score: 100 }),
    of('innocent', { verdict: 'unchanged', score: 97, supersededBy: 'next' }),
    of('taken-back', { verdict: 'regressed', score: 0, rolledBackTs: at - 2_000_000 }),
    of('back', { rollback: true, startTs: at - 90_000_000, verdict: 'unchanged', score: 100 }),
    { id: 'bare', serviceName: `<b>${'long'.repeat(2500)}</b>`, version: 'גרסה \u202e2', startTs: at - 95_000_000, inferred: true, rollback: false, endTs: at - 95_000_000 },
  ];
}

async function showsEveryState({ page, open, shot, expectAccessible, expectNarrow, expectQuiet }) {
  const finding = { ...regressed().findings[0], verdict: 'unchanged', score: 97 };
  const findings = [
    { ...finding, deployment: { ...regressed().deployment, id: 'innocent' }, causedByDeployment: false, explanation: 'load' },
    { ...finding, deployment: { ...regressed().deployment, id: 'taken-back' }, kind: 'errors', cause: 'errors', contribution: 0, errorRateChange: 0.062 },
  ];
  await page.route(/api\/v2\/deployments\?/, (route) => route.fulfill({ json: states() }));
  await page.route(/deployments\/\w+\/report/, (route) => route.fulfill({ json: regressed() }));
  let answered;
  const gate = new Promise((resolve) => (answered = resolve));
  await page.route(/api\/v2\/regressions/, async (route) => {
    await gate;
    await route.fulfill({ json: findings });
  });
  await open('deployments');
  await page.locator('.data-table').waitFor();
  await page.getByText('…', { exact: true }).first().waitFor();
  await shot('deployments-pending');
  answered();
  for (const expected of ['RUNNING', 'RUNNING 2/4', '2 of 4 instances switched', '3 instances switched', 'so far', 'NOT JUDGED YET', 'NOT ENOUGH DATA', 'needs more requests', 'MARGINAL', 'improved', 'not this deployment', '+6.2 points of failures', 'rolled back', 'superseded', 'return', 'inferred']) {
    await page.locator('.data-table').getByText(expected).first().waitFor();
  }
  assert.ok((await page.locator('tr.group').count()) >= 2, 'days are told apart');
  assert.equal(await page.locator('main b').count(), 0);
  await shot('deployments-states');
  await expectAccessible();
  await expectNarrow('deployments of every state');
  await page.unrouteAll({ behavior: 'wait' });
  expectQuiet();
}

/** Of 200 deployments, what is in sight is there one by one while the rest is not asked for; by effect, all are. */
async function asksForWhatIsInSight({ page, open, shot, expectQuiet }) {
  const { deployment, findings } = regressed();
  const many = Array.from({ length: 200 }, (_, index) => ({ ...deployment, id: `many${index}`, startTs: Date.now() - 60_000 * (index + 60), endTs: Date.now() - 60_000 * (index + 59), verdict: 'regressed', score: 12 }));
  await page.route(/api\/v2\/deployments\?/, (route) => route.fulfill({ json: many }));
  const asked = [];
  let [running, most] = [0, 0];
  let answered;
  const gate = new Promise((resolve) => (answered = resolve));
  await page.route(/api\/v2\/regressions/, async (route) => {
    const endTs = Number(new URL(route.request().url()).searchParams.get('endTs'));
    const one = many.find(({ startTs }) => startTs === endTs);
    asked.push(one.id);
    most = Math.max(most, ++running);
    if (asked.length > 3) await gate;
    running -= 1;
    await route.fulfill({ json: [{ ...findings[0], deployment: one, contribution: 1000 * (many.indexOf(one) + 1), verdict: 'regressed' }] });
  });
  await open('deployments?limit=200');
  await rows(page).nth(199).waitFor({ state: 'attached' });
  await rows(page).nth(2).getByText('+3 ms', { exact: false }).first().waitFor();
  await rows(page).nth(3).getByText('…', { exact: true }).first().waitFor();
  assert.deepEqual(asked, ['many0', 'many1', 'many2', 'many3'], 'one after the other, from the top');
  await shot('deployments-many');
  answered();
  await rows(page).nth(5).getByText('+6 ms', { exact: false }).first().waitFor();
  await page.waitForTimeout(1000);
  assert.ok(asked.length < 60, `${asked.length} of 200 asked for, of which some twenty are in sight`);
  await rows(page).nth(150).scrollIntoViewIfNeeded();
  await rows(page).nth(150).getByText('+151 ms', { exact: false }).first().waitFor();
  await page.getByRole('button', { name: 'Effect' }).click();
  await page.getByRole('button', { name: 'Effect' }).click();
  await rows(page).first().getByText('+200 ms', { exact: false }).first().waitFor();
  assert.equal(new Set(asked).size, 200);
  assert.equal(asked.length, 200, 'each is asked for once');
  assert.equal(most, 1, 'at once');
  await page.unrouteAll({ behavior: 'wait' });
  expectQuiet();
}

/** Of services with objectives the report tells both what was found and what it cost; of others nobody asks for it. */
async function showsWhatItCost({ page, open, shot, expectAccessible, expectNarrow, expectOnly }) {
  const { deployment, findings } = regressed();
  const states = {
    burning: [{ name: 'checkout-latency', objective: 0.99, fastBurn: true, spentByDeployment: 0.372 }, { name: 'availability', objective: 0.999, fastBurn: false, spentByDeployment: 0.4 }],
    harmless: [{ name: 'steady', objective: 0.99, fastBurn: false, spentByDeployment: 0 }],
    idle: [{ name: 'seldom', objective: 0.99, fastBurn: false }],
    older: [],
    broken: undefined,
    slow: undefined,
  };
  const all = [...Object.keys(states), 'unpromised'].map((serviceName, index) => ({ ...deployment, id: serviceName, serviceName, startTs: Date.now() - 60_000 * (index + 60), endTs: Date.now() - 60_000 * (index + 59), verdict: 'regressed', score: 12 }));
  await page.route(/api\/v2\/deployments\?/, (route) => route.fulfill({ json: all }));
  let told;
  const objectives = new Promise((resolve) => (told = resolve));
  await page.route(/api\/v2\/slos$/, async (route) => {
    await objectives;
    await route.fulfill({ json: Object.keys(states).map((serviceName) => ({ name: serviceName, serviceName, indicator: 'availability', objective: 0.99, windowDays: 28 })) });
  });
  const asked = [];
  await page.route(/api\/v2\/regressions/, (route) => {
    asked.push('findings');
    return route.fulfill({ json: [{ ...findings[0], deployment: all.at(-1), verdict: 'regressed' }] });
  });
  let answered;
  const gate = new Promise((resolve) => (answered = resolve));
  await page.route(/deployments\/\w+\/report/, async (route) => {
    const [, id] = /deployments\/(\w+)\/report/.exec(route.request().url());
    asked.push(id);
    if (id === 'slow') await gate;
    await (id === 'broken' ? route.fulfill({ status: 500, json: { error: 'a segment is damaged' } }) : route.fulfill({ json: { ...regressed(), slo: states[id] ?? [] } }));
  });
  await open('deployments');
  const cell = (service) => rows(page).filter({ has: page.getByText(service, { exact: true }) }).locator('td').nth(7);
  await cell('unpromised').getByText('…').waitFor();
  await page.waitForTimeout(300);
  assert.deepEqual(asked, [], 'which question it is depends on the objectives');
  told();
  await cell('burning').getByText('−37 %').waitFor();
  await cell('burning').getByText('✖ burns fast').waitFor();
  await cell('burning').getByText('worst of 2').waitFor();
  await cell('harmless').getByText('±0 %').waitFor();
  await cell('idle').getByText('too few requests').waitFor();
  await cell('older').getByText('not told').waitFor();
  await cell('broken').getByText('not known').waitFor();
  await page.getByText('a segment is damaged').waitFor();
  assert.equal(await cell('slow').textContent(), '…');
  assert.equal(await cell('unpromised').textContent(), '–', 'nobody has to be asked to say so');
  assert.deepEqual(asked, Object.keys(states), 'one after the other, from the top');
  await shot('deployments-slo');
  answered();
  await cell('slow').getByText('not told').waitFor();
  await rows(page).last().getByText('–', { exact: true }).first().waitFor();
  await expectAccessible();
  await expectNarrow('deployments with objectives');
  await page.getByRole('button', { name: 'SLO', exact: true }).click();
  await page.getByRole('button', { name: 'SLO', exact: true }).click();
  await page.waitForURL(/sort=-slo/);
  await rows(page).first().getByText('burning', { exact: true }).waitFor();
  assert.equal(asked.filter((one) => one === 'findings').length, 1);
  await page.unrouteAll({ behavior: 'wait' });
  expectOnly(/500/);
}

/** What is known of findings does not wait for objectives that cannot be had, and nobody says that there are none. */
async function doesWithoutObjectives({ page, open, expectOnly }, { service }) {
  await page.route(/api\/v2\/slos$/, (route) => route.fulfill({ status: 500, json: { error: 'objectives are lost' } }));
  await open(`deployments?serviceName=${service('inventory')}`);
  await rows(page).getByText('get /stock').waitFor();
  await rows(page).getByText('not known').waitFor();
  await page.getByText('SLOs could not be asked for: objectives are lost').waitFor();
  await page.unrouteAll({ behavior: 'wait' });
  expectOnly(/500/);
}

async function saysHowTheFirstGetsThere({ page, open, origin, shot, expectAccessible, expectNarrow, expectQuiet }) {
  await page.route(/api\/v2\/deployments\?/, (route) => route.fulfill({ json: [] }));
  await open('deployments?lookback=all');
  await page.getByRole('heading', { name: 'No deployment yet' }).waitFor();
  assert.equal(await page.locator('.deployments-ways li').count(), 3);
  await page.getByRole('button', { name: 'Copy: By HTTP' }).click();
  await page.getByText('It is copied.').waitFor();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(command.startsWith(`curl -i ${origin}/api/v2/deployments -d '{`), command);
  await shot('deployments-none');
  await expectAccessible();
  await expectNarrow('no deployments');
  await open('deployments?lookback=1h');
  await page.getByRole('heading', { name: 'No deployment began in this time' }).waitFor();
  await page.getByRole('button', { name: 'Look at the last 7 days' }).click();
  await page.waitForURL((url) => !url.search.includes('lookback'));
  await page.unrouteAll({ behavior: 'wait' });
  expectQuiet();
}

async function saysThatItFailed({ page, open, shot, expectAccessible, expectOnly }) {
  await page.route(/api\/v2\/deployments\?.*limit=100/, (route) => (route.request().url().includes('lookback') ? route.fulfill({ status: 500, json: { error: 'the store is on fire' } }) : route.continue()));
  await open('deployments');
  await page.getByText('the store is on fire').waitFor();
  await shot('deployments-failed');
  await expectAccessible();
  await page.unrouteAll({ behavior: 'wait' });
  await page.route(/api\/v2\/regressions/, (route) => route.fulfill({ status: 503, json: { error: 'analyses are going on' } }));
  await page.getByRole('button', { name: 'Try again' }).click();
  await rows(page).first().waitFor();
  await page.getByText('analyses are going on').waitFor();
  await page.unrouteAll({ behavior: 'wait' });
  expectOnly(/50[03]/);
}

export const checks = [
  listsWhatWasDeployed,
  isFiltered,
  isHandedOn,
  isWalkedByKeyboard,
  showsEveryState,
  asksForWhatIsInSight,
  showsWhatItCost,
  doesWithoutObjectives,
  saysHowTheFirstGetsThere,
  saysThatItFailed,
];
