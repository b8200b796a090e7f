// The pictures of the documentation: docs/images/*.png, of a running suite (RIXIN_URL, RIXIN_KEY) with a chat model.

import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answered, api, assert, chatOnce, launch, open, say, suite } from './harness.mjs';

const folder = join(dirname(fileURLToPath(import.meta.url)), '../../docs/images');
const MOST_BYTES = 250_000;
mkdirSync(folder, { recursive: true });

const browser = await launch();
const made = [];

async function picture(page, name) {
  const path = join(folder, `${name}.png`);
  await page.mouse.move(0, 0);
  await page.screenshot({ path, animations: 'disabled', caret: 'hide' });
  const { size } = statSync(path);
  assert.ok(size <= MOST_BYTES, `${path} has ${size} bytes, more than ${MOST_BYTES}`);
  console.log(`${path} ${size} bytes`);
}

async function chat(locale, colorScheme, question, name) {
  const page = await open(browser, { key: suite.key, locale, colorScheme });
  await chatOnce(page, question);
  made.push(new URL(page.url()).hash.split('/').pop());
  await page.locator('.messages').evaluate((box) => box.scrollTo(0, 0));
  await picture(page, name);
  await page.context().close();
}

async function plain(path, ready, options, name) {
  const page = await open(browser, { key: suite.key, path, ...options });
  await page.locator(ready).first().waitFor();
  await page.locator('.loading').waitFor({ state: 'detached' });
  await picture(page, name);
  await page.context().close();
}

const { languages = [] } = await api('GET', `/api/models/${suite.model}`);
// A model that knows no Chinese is not asked in Chinese: what it says would mislead whoever looks at the picture.
const inChinese = languages.includes('zh')
  ? '请用三个要点说明：高血压患者在家测量血压时要注意什么？'
  : 'Explain in three short points how to measure blood pressure at home.';

await chat(
  'en-US',
  'light',
  'Write a short Python function that counts the words of a text file, and explain it.',
  'chat-en',
);
await chat('zh-CN', 'light', inChinese, 'chat-zh');
await plain('', '.tips', { locale: 'zh-CN', colorScheme: 'dark' }, 'welcome-zh-dark');
await plain('#/models', '.card', {}, 'models-en');
await plain('#/models', '.card', { locale: 'zh-CN' }, 'models-zh');
await plain('#/replicas', '.row', {}, 'replicas-en');
await plain('#/keys', '.table', {}, 'keys-en');

const phone = await open(browser, {
  key: suite.key,
  locale: 'zh-CN',
  viewport: { width: 360, height: 740 },
  isMobile: true,
  hasTouch: true,
});
await say(phone, 'Say hello to a new colleague in one sentence.');
await answered(phone);
made.push(new URL(phone.url()).hash.split('/').pop());
await picture(phone, 'phone-zh');

for (const id of made) await api('DELETE', `/api/conversations/${id}`);
await browser.close();
