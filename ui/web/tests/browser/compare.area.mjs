/** Two traces, and two groups of traces, laid on each other. */
import assert from 'node:assert/strict';

import { hex } from './harness.mjs';
import { rollout } from '../fixture/rollout.mjs';

const run = Date.now().toString(36);
const nowMicros = Date.now() * 1000;
const service = (base) => `${base}-compare-${run}`;

const endpoint = (base) => ({ serviceName: service(base), ipv4: '10.0.0.7', port: 8080 });

/** A basket that asks for prices: all at once for one item, or item by item; with or without a discount service. */
function basket(traceId, { items, at, gone, added }) {
  const begin = nowMicros + at;
  const span = (id, parentId, base, name, from, took, more) => ({ traceId, id: hex(id), ...(parentId && { parentId: hex(parentId) }), kind: 'SERVER', name, timestamp: begin + from, duration: took, localEndpoint: endpoint(base), ...more });
  return [
    span(1, undefined, 'shop', 'get /basket', 0, 4000 + items * 6000),
    ...Array.from({ length: items }, (_, item) => span(10 + item, 1, 'prices', 'get /price', 1000 + item * 6000, 5000)),
    ...(gone ? [span(50, 1, 'cache', 'get', 100, 500)] : []),
    ...(added ? [span(60, 1, 'discounts', '<b>post</b>', 100, 800, { tags: { error: 'none left' } })] : []),
  ];
}

const [before, after, alone] = [1, 2, 3].map((index) => hex(index) + hex(nowMicros));

export async function prepare(server) {
  await server.post([
    ...basket(before, { items: 1, at: -60_000_000, gone: true }),
    ...basket(after, { items: 7, at: -30_000_000, added: true }),
    { traceId: alone, id: hex(1), localEndpoint: endpoint('shop') },
  ]);
  const { spans, deployments, switchedTs, service: shop } = rollout({ name: `-compare-${run}`, endMicros: nowMicros, perMinute: 60 });
  await server.post(spans);
  const [inventory] = deployments;
  const times = { 'a.from': String(switchedTs - 540_000), 'a.to': String(switchedTs), 'b.from': String(inventory.endTs), 'b.to': String(Date.now()) };
  return { inventory: shop('inventory'), gateway: shop('gateway'), times };
}

const rowOf = (page, name) => page.locator('.compare-rows tbody tr', { hasText: name });

async function tellsTwoTracesApart({ page, open, shot, expectAccessible, expectNarrow, expectQuiet }) {
  await open(`compare?a=${before}&b=${after}`);
  await page.getByText('B takes 36 ms longer than A (+360 %).').waitFor();
  const words = async (name) => (await rowOf(page, name).locator('.compare-what').textContent()).trim();
  assert.equal(await words(service('prices')), '1 → 7 calls');
  assert.equal(await words(service('cache')), 'removed');
  assert.equal(await words(service('discounts')), 'added');
  await rowOf(page, service('discounts')).getByText('<b>post</b>').waitFor();
  await page.getByText('of the spans are in one of the traces only').waitFor();
  await shot('compare-pair');
  await expectAccessible();
  await expectNarrow('two traces');
  assert.equal(await page.locator('.compare-rows tbody tr').count(), 4);
  await rowOf(page, service('prices')).getByRole('button', { name: '×7' }).click();
  await page.waitForURL(/open=/);
  assert.equal(await page.locator('.compare-rows tbody tr').count(), 10);
  await page.reload();
  await rowOf(page, service('prices')).nth(6).waitFor();
  await rowOf(page, service('prices')).getByRole('button', { name: '×7' }).click();
  await rowOf(page, service('prices')).nth(1).waitFor({ state: 'detached' });
  expectQuiet();
}

async function isTurnedAroundAndNarrowedDown({ page, open, expectQuiet }) {
  await open(`compare?a=${before}&b=${after}`);
  await page.getByText('B takes 36 ms longer').waitFor();
  await page.getByRole('button', { name: 'Swap A and B' }).click();
  await page.getByText('B takes 36 ms less than A').waitFor();
  assert.equal(await page.locator('input[name=a]').inputValue(), after);
  assert.equal(await rowOf(page, service('discounts')).locator('.compare-what').textContent(), 'removed');
  await page.getByRole('button', { name: 'Share' }).click();
  await page.waitForURL(/show=share/);
  await rowOf(page, `${service('shop')} get /basket`).getByText('−78 %').waitFor();
  await page.getByLabel('Only what changed').check();
  await page.waitForURL(/only=changed/);
  await page.reload();
  assert.ok(await page.getByLabel('Only what changed').isChecked());
  expectQuiet();
}

async function asksForWhatIsMissing({ page, open, shot, expectAccessible, expectNarrow, expectQuiet, expectOnly }) {
  await open('compare');
  await page.getByRole('heading', { name: 'Choose two traces' }).waitFor();
  await shot('compare-empty');
  await expectAccessible();
  await expectNarrow('compare of nothing');
  await open(`compare?a=${before}`);
  await page.getByRole('heading', { name: 'One trace is missing' }).waitFor();
  await page.getByRole('heading', { name: 'Other traces of the same operation' }).waitFor();
  await shot('compare-suggestions');
  await expectAccessible();
  await page.getByRole('link', { name: after }).click();
  await page.getByText('B takes 36 ms longer').waitFor();
  expectQuiet();
  await open(`compare?a=${before}&b=${'f'.repeat(32)}`);
  await page.getByRole('alert').waitFor();
  await shot('compare-not-found');
  await expectAccessible();
  expectOnly(/404/);
  await open(`compare?a=${alone}&b=${alone}`);
  await page.getByText('A and B take equally long.').waitFor();
  await expectAccessible();
  expectQuiet();
}

async function tellsTwoGroupsApart({ page, open, shot, expectAccessible, expectNarrow, expectQuiet }, { inventory, times }) {
  await open(`compare?${new URLSearchParams({ service: inventory, op: 'get /stock', 'a.version': '1.4.2', 'b.version': '1.4.3', ...times })}`);
  await page.getByText('B is slower or fails more than A.').waitFor();
  await page.getByText(`${inventory} get /stock makes calls one after the other`).first().waitFor();
  // The tag was found out, and is said.
  await page.getByText('version=1.4.2').first().waitFor();
  await rowOf(page, `${inventory} get /stock`).getByText('◀ origin').waitFor();
  const price = rowOf(page, `${inventory} get /price`).first();
  assert.equal(await price.locator('.compare-what').textContent(), 'no change');
  await price.getByText(/95 %: [+−]/).waitFor();
  await shot('compare-groups');
  await expectAccessible();
  await expectNarrow('two groups');
  await page.getByText('Change what is compared').click();
  await shot('compare-groups-form');
  await expectAccessible();
  await page.getByRole('button', { name: 'Swap A and B' }).click();
  await page.getByText('B is faster or fails less than A.').waitFor();
  expectQuiet();
}

async function saysWhatItCannotSay({ page, open, shot, expectAccessible, expectQuiet }, { inventory, gateway, times }) {
  await open('compare?service=');
  await page.getByRole('heading', { name: 'Say which service' }).waitFor();
  await shot('compare-groups-empty');
  await expectAccessible();
  await page.getByLabel('Service').fill(gateway);
  await page.getByRole('button', { name: 'Compare', exact: true }).click();
  await page.waitForURL(/service=gateway/);
  await page.getByText('A and B are the same.').waitFor();
  await open(`compare?service=${inventory}&b.version=there-is-none`);
  await page.getByText('No trace bears that version').waitFor();
  await shot('compare-no-version');
  await expectAccessible();
  const few = new URLSearchParams({ service: inventory, tag: 'version', 'a.version': '1.4.2', 'b.version': '1.4.3', ...times, 'b.to': String(Number(times['b.from']) + 10_000) });
  await open(`compare?${few}`);
  await page.getByText('There are fewer than 30 traces on a side').waitFor();
  await shot('compare-few');
  await expectAccessible();
  expectQuiet();
}

export const checks = [
  tellsTwoTracesApart,
  isTurnedAroundAndNarrowedDown,
  asksForWhatIsMissing,
  tellsTwoGroupsApart,
  saysWhatItCannotSay,
];
