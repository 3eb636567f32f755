/**
 * What the checks of pages have in common: a browser, pages that remember everything that was wrong with them,
 * screenshots, and who asks the server.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

export const WINDOW = { width: 1280, height: 800 };
export const NARROW = { width: 320, height: 640 };

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Levels of WCAG 2.2 AA, and what axe itself holds for good practice. */
const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
}

/** The server that everything is asked of, and what it has been sent. `origin` is `http://host:port`. */
export function serverAt(origin) {
  const ask = async (method, path, body) => {
    const response = await fetch(`${origin}/api/v2/${path}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  const post = async (spans) => {
    for (let from = 0; from < spans.length; from += 5000) await ask('POST', 'spans', spans.slice(from, from + 5000));
  };
  return { origin, ask, post };
}

/** A view: a page, and what a check does with it. Whatever the browser complains about is a complaint. */
export async function openView(browser, origin, screenshots, colorScheme) {
  const context = await browser.newContext({
    viewport: WINDOW,
    colorScheme,
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error}`));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !url.startsWith('blob:') && !url.startsWith('data:')) {
      complaints.push(`request left the server: ${url}`);
    }
  });
  return {
    context,
    page,
    complaints,
    origin,
    colorScheme,
    open: (path) => page.goto(`${origin}/zipkin/${path}`),
    expectQuiet: () => assert.deepEqual(complaints.splice(0), []),
    /** Takes a complaint that the check has provoked itself, and fails on any other. */
    expectOnly: (pattern) => {
      const others = complaints.splice(0).filter((complaint) => !pattern.test(complaint));
      assert.deepEqual(others, []);
    },
    shot: (name) => page.screenshot({ path: join(screenshots, `${name}-${colorScheme}.png`) }),
    expectAccessible: () => expectAccessible(page),
    expectNarrow: (name) => expectNarrow(page, name),
  };
}

/** axe finds nothing on the page as it is. */
async function expectAccessible(page) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(await axeSource());
  const violations = await page.evaluate(async (tags) => {
    const found = await window.axe.run(document, { runOnly: tags, resultTypes: ['violations'] });
    return found.violations.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 5).map((node) => `${node.html.slice(0, 200)} ${node.failureSummary?.slice(0, 300)}`) }));
  }, AXE_TAGS);
  assert.deepEqual(violations, [], JSON.stringify(violations, null, 1));
}

let axe;

/** Evaluated by the debugger, which the page's policy does not bind: it lets no inline script in. */
async function axeSource() {
  axe ??= await readFile(AXE, 'utf8');
  return axe;
}

/** The page fits a window of 320 pixels, without scrolling sideways, also before anything is drawn anew for it. */
async function expectNarrow(page, name) {
  await page.evaluate(() => {
    window.widthAtOnce = new Promise((told) => {
      window.addEventListener('resize', () => told(document.documentElement.scrollWidth), { once: true });
    });
  });
  await page.setViewportSize(NARROW);
  const width = await page.evaluate(() => window.widthAtOnce);
  await page.setViewportSize(WINDOW);
  assert.ok(width <= NARROW.width, `${name} is ${width} pixels wide in a window of ${NARROW.width}`);
}

export const hex = (value, digits = 16) => value.toString(16).padStart(digits, '0');
