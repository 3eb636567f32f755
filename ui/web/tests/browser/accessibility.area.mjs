/**
 * What Chromium tells assistive technology of the pages that are used most, beyond the rules of axe: whatever can be used
 * has a name, lines of a trace tell their place in the tree, and what was found is read out.
 */
import assert from 'node:assert/strict';

import { sendJudged } from '../fixture/judged.mjs';
import { rollout } from '../fixture/rollout.mjs';
import { shopTrace } from '../fixture/traces.mjs';
import { hex } from './harness.mjs';

const run = Date.now().toString(36);
const nowMicros = Date.now() * 1000;
const gateway = `gateway-heard-${run}`;
const shopId = hex(11) + hex(nowMicros);

/** Roles of what can be used, as Chromium calls them. */
const INTERACTIVE = /^(button|link|textbox|searchbox|combobox|listbox|checkbox|radio|switch|slider|spinbutton|tab|menuitem|treegrid|grid|DisclosureTriangle|Date.*|InputTime|popUpButton|splitter)$/i;

/** Roles of parts of a page that are gone to by name, where there are more than one of them. */
const NAMED = /^(region|form|navigation|dialog)$/;

/** The page as assistive technology is told of it. */
async function treeOf(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  const byId = new Map(nodes.map((node) => [node.nodeId, node]));
  const told = nodes.filter(({ ignored }) => !ignored).map((node) => ({
    id: node.nodeId,
    element: node.backendDOMNodeId,
    role: node.role?.value ?? '',
    name: (node.name?.value ?? '').trim(),
    has: Object.fromEntries((node.properties ?? []).map(({ name, value }) => [name, value.value ?? value.relatedNodes])),
  }));
  /** All text below a node. */
  const textOf = (id) => {
    const node = byId.get(id);
    return node?.role?.value === 'StaticText' ? (node.name?.value ?? '') : (node?.childIds ?? []).map(textOf).join('');
  };
  return { told, textOf };
}

function expectNames({ told }, page) {
  const used = told.filter(({ role, has }) => INTERACTIVE.test(role) || (has.focusable && !/RootWebArea|scroll/i.test(role)));
  assert.ok(used.length > 10, `${page} has ${used.length} nodes that can be used`);
  const nameless = told.filter(({ role, has, name }) => name === '' && (INTERACTIVE.test(role) || NAMED.test(role) || (has.focusable && role !== 'RootWebArea')));
  assert.deepEqual(nameless, [], `without a name on ${page}`);
}

async function namesWhatCanBeUsed({ page, open, expectQuiet }, { id }) {
  await open(`?serviceName=${gateway}&lookback=1h&limit=10`);
  await page.locator('[data-trace]').first().waitFor();
  await page.locator('.search-chart canvas').waitFor();
  expectNames(await treeOf(page), 'the search');
  await open(`traces/${shopId}?span=${hex(5)}`);
  await page.locator('.trace-row').nth(3).waitFor();
  await page.locator('.trace-panel').waitFor();
  expectNames(await treeOf(page), 'a trace');
  await open(`deployments/${id}?tour=demo`);
  await page.locator('.report-lead').waitFor();
  await page.locator('.tour').waitFor();
  await page.locator('.report-panel canvas').first().waitFor();
  expectNames(await treeOf(page), 'a report');
  expectQuiet();
}

async function tellsTheTreeOfATrace({ page, open, expectQuiet }) {
  await open(`traces/${shopId}`);
  await page.locator('.trace-row').nth(3).waitFor();
  const { told } = await treeOf(page);
  const grid = told.find(({ role }) => role === 'treegrid');
  assert.ok(grid, 'there is a tree grid');
  const rows = told.filter(({ role, name }) => role === 'row' && /, \d/.test(name));
  assert.ok(rows.length >= 5, `${rows.length} lines`);
  for (const { name, has } of rows) assert.ok(has.level >= 1, `${name} tells no level`);
  const of = (start) => rows.find(({ name }) => name.startsWith(start));
  assert.deepEqual([of(gateway), of('inventory'), of('pricing')].map(({ has }) => [has.level, has.expanded]), [[1, true], [2, true], [3, undefined]]);
  await page.getByRole('treegrid').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowLeft');
  await page.locator('.trace-row', { hasText: 'inventory' }).locator('.badge-count').waitFor();
  const after = (await treeOf(page)).told;
  const closed = after.find(({ role, name }) => role === 'row' && name.startsWith('inventory'));
  assert.equal(closed.has.expanded, false);
  const active = after.find(({ role }) => role === 'treegrid').has.activedescendant;
  assert.deepEqual(active.map(({ backendDOMNodeId }) => backendDOMNodeId), [closed.element], 'the grid tells which line is active');
  expectQuiet();
}

/** Regions that are read out when their text changes, by what they say. */
const regionsOf = ({ told, textOf }) => new Map(told.filter(({ has }) => has.live === 'polite' || has.live === 'assertive').map(({ id, element }) => [element, textOf(id)]));

/** Waits until a region that was there before says something. */
async function expectRead(page, before, pattern) {
  let said = [];
  for (let tries = 0; tries < 50; tries++) {
    const now = regionsOf(await treeOf(page));
    said = [...now].filter(([element, text]) => before.has(element) && before.get(element) !== text).map(([, text]) => text);
    if (said.some((text) => pattern.test(text))) return;
    await page.waitForTimeout(100);
  }
  assert.fail(`nothing like ${pattern} was read out, but ${JSON.stringify(said)}`);
}

async function readsOutWhatWasFound({ page, open, expectQuiet }) {
  await open(`?serviceName=nobody-${run}&lookback=1h&limit=10`);
  await page.getByRole('heading', { name: 'No trace matches' }).waitFor();
  const search = async (service, pattern) => {
    const before = regionsOf(await treeOf(page));
    await page.getByRole('form', { name: 'Search traces' }).getByLabel('Service', { exact: true }).fill(service);
    await page.getByRole('button', { name: 'Run search' }).click();
    await expectRead(page, before, pattern);
  };
  await search(gateway, /10 traces found/);
  await search(`nobody-${run}`, /Nothing was found/);
  await open(`traces/${shopId}`);
  await page.locator('.trace-row').nth(3).waitFor();
  const before = regionsOf(await treeOf(page));
  await page.getByRole('textbox', { name: 'Find in this trace' }).fill('get');
  await expectRead(page, before, /\d+ match|\d+ of \d+/);
  const copied = regionsOf(await treeOf(page));
  await page.getByRole('button', { name: 'Copy link' }).click();
  await expectRead(page, copied, /The link is copied/);
  expectQuiet();
}

export async function prepare(server) {
  const fixture = rollout({ name: `-heard-${run}`, endMicros: nowMicros, perMinute: 60 });
  const [id] = await sendJudged(server, fixture);
  await server.post(shopTrace({ traceId: shopId, gateway, begin: nowMicros - 60_000_000 }));
  return { id };
}

export const checks = [namesWhatCanBeUsed, tellsTheTreeOfATrace, readsOutWhatWasFound];
