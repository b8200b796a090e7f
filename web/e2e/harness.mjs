// A small harness for tests in a real browser: one browser, tests in order, TAP on standard output.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const artefacts = join(dirname(fileURLToPath(import.meta.url)), '../../tests/artefacts/console');

function needed(name) {
  const value = process.env[name];
  if (!value) {
    console.error(
      `${name} is not set: it names the ${name === 'RIXIN_URL' ? 'address' : 'admin key'} of a running suite`,
    );
    process.exit(2);
  }
  return value;
}

export const suite = {
  url: needed('RIXIN_URL').replace(/\/+$/, ''),
  key: needed('RIXIN_KEY'),
  model: process.env.RIXIN_MODEL ?? 'smollm2-135m-instruct',
};

/** How long an answer may take on a busy machine. */
export const ANSWER_MS = 180_000;

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function launch() {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) {
    console.error(`${executablePath} is not there: apt-get install -y chromium, or set CHROMIUM`);
    process.exit(2);
  }
  mkdirSync(artefacts, { recursive: true });
  return chromium.launch({ executablePath, args: FLAGS });
}

/** What no page may do: errors, refused content, and requests to anybody else. */
export const complaints = [];

/** A page of its own, as another person's browser. `expect` names console errors that a test provokes. */
export async function open(browser, { key, path = '', expectErrors = false, ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    locale: 'en-US',
    acceptDownloads: true,
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('console', (message) => {
    const text = message.text();
    // A reply that is no success is written to the console by the browser itself; the pages show it in their own way.
    if (message.type() !== 'error' || /Failed to load resource|net::ERR_/.test(text)) return;
    if (!expectErrors) complaints.push(`console: ${text}`);
  });
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith('http') && origin !== new URL(suite.url).origin)
      complaints.push(`elsewhere: ${request.url()}`);
  });
  // The session's place, filled before the page's own code runs: as if its owner had signed in before.
  if (key)
    await context.addInitScript(
      (value) => sessionStorage.getItem('rixin.key') ?? sessionStorage.setItem('rixin.key', value),
      key,
    );
  await page.goto(`${suite.url}/${path}`);
  return page;
}

const tests = [];

export function test(name, run) {
  tests.push({ name, run });
}

export async function runTests(browser, only) {
  const chosen = tests.filter(({ name }) => !only || name.includes(only));
  console.log(`TAP version 13\n1..${chosen.length}`);
  let passed = 0;
  for (const [index, { name, run }] of chosen.entries()) {
    const started = Date.now();
    try {
      await run(browser);
      passed += 1;
      console.log(`ok ${index + 1} - ${name} # ${Date.now() - started} ms`);
    } catch (error) {
      console.log(`not ok ${index + 1} - ${name} # ${Date.now() - started} ms`);
      console.log(String(error?.stack ?? error).replace(/^/gm, '  # '));
      for (const [at, page] of browser
        .contexts()
        .flatMap((context) => context.pages())
        .entries()) {
        await page.screenshot({ path: join(artefacts, `failed-${index + 1}-${at}.png`) }).catch(() => undefined);
      }
    }
    for (const context of browser.contexts()) await context.close();
  }
  const failed = chosen.length - passed;
  console.log(`# ${passed} passed, ${failed} failed`);
  return failed === 0;
}

export const shot = (page, name) => page.screenshot({ path: join(artefacts, `${name}.png`), animations: 'disabled' });

/** Waits until `check` holds; it is asked again at each change of the page. */
export async function until(page, check, argument, timeout = 20_000) {
  await page.waitForFunction(check, argument, { timeout, polling: 'raf' });
}

/** A request with the admin key, for what a test prepares or cleans up. */
export async function api(method, path, body) {
  const response = await fetch(`${suite.url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${suite.key}`, 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

/** Writes a message and sends it with Enter. */
export async function say(page, text) {
  const field = page.getByRole('textbox', { name: /^(Message|消息)$/ });
  await field.fill(text);
  await field.press('Enter');
}

/** Waits for the end of the answer that is running. */
export async function answered(page, timeout = ANSWER_MS) {
  await page.locator('.message.running').waitFor({ state: 'detached', timeout });
  await page.locator('.message.theirs .message-foot').last().waitFor({ timeout });
}

/** A conversation with one question and its answer, through the page. */
export async function chatOnce(page, text) {
  await say(page, text);
  await page.locator('.message.mine').first().waitFor();
  await answered(page);
}

export { assert };
