/**
 * The app in a real browser against a real server: `node run.mjs BASE_URL SCREENSHOT_DIRECTORY [AREA…]`.
 *
 * An area is a file beside this one that exports `prepare(server)`, which sends what it needs and says what that was,
 * and `checks`, functions of a view and of what was prepared. Spans go in by the API, everything else goes through the
 * page as a user's hands and eyes would. Whatever the browser complains about fails the run, and so does a request
 * that leaves the server. Every check runs in both themes, at the same time; one after the other where the area exports
 * `changesWhatAllSee`, since it would otherwise see its twin's changes half made.
 */
import { readdirSync } from 'node:fs';

import { launch, openView, serverAt } from './harness.mjs';

const [baseUrl, screenshots, ...chosen] = process.argv.slice(2);
if (!baseUrl || !screenshots) throw new Error('usage: run.mjs BASE_URL SCREENSHOT_DIRECTORY [AREA…]');

const areas = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.area.mjs'))
  .map((file) => file.replace('.area.mjs', ''))
  .filter((area) => chosen.length === 0 || chosen.includes(area));
if (areas.length === 0) throw new Error(`no such area: ${chosen.join(' ')}`);

const server = serverAt(new URL(baseUrl).origin);
const browser = await launch();
let checks = 0;
const failures = [];
try {
  for (const area of areas) {
    const module = await import(`./${area}.area.mjs`);
    const prepared = await module.prepare(server);
    const light = runArea(area, module.checks, prepared, 'light');
    if (module.changesWhatAllSee) await light;
    await Promise.all([light, runArea(area, module.checks, prepared, 'dark')]);
  }
} finally {
  await browser.close();
}
for (const failure of failures) console.log(`${failure.title}\n${failure.error.stack}`);
// Once more in short: the last lines of a run are what is looked at first.
for (const { title, error } of failures) console.log(`${title}: ${String(error.message).replace(/\s+/g, ' ').slice(0, 250)}`);
console.log(`${checks} checks of ${areas.length} areas, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;

/** One after another in a page of their own; a check that fails leaves a screenshot, and the next have a new page. */
async function runArea(area, all, prepared, scheme) {
  let view = await openView(browser, server.origin, screenshots, scheme);
  for (const check of all) {
    const began = performance.now();
    checks += 1;
    try {
      await check(view, prepared);
      view.expectQuiet();
    } catch (error) {
      await view.shot(`failed-${area}-${check.name}`).catch(() => undefined);
      failures.push({ title: `✖ ${area}: ${check.name} (${scheme})`, error });
      await view.context.close();
      view = await openView(browser, server.origin, screenshots, scheme);
    }
    console.log(`${area}: ${check.name} (${scheme}) ${Math.round(performance.now() - began)} ms`);
  }
  await view.context.close();
}
