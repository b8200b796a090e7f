// Languages, themes, small screens and the keyboard.

import { answered, assert, open, shot, suite, test, until } from '../harness.mjs';

const PAGES = ['#/chat', '#/models', '#/models/installed', '#/replicas', '#/keys', '#/usage'];

test('reach: language and theme are switched and remembered', async (browser) => {
  const page = await open(browser, { key: suite.key });
  await page.getByRole('button', { name: 'Language' }).click();
  await page.getByRole('menuitemradio', { name: '简体中文' }).click();
  await page.getByRole('heading', { name: '今天想聊点什么？' }).waitFor();
  await page.getByRole('button', { name: '外观' }).click();
  await page.getByRole('menuitemradio', { name: '深色' }).click();
  await until(page, () => document.documentElement.dataset.theme === 'dark');
  await page.reload();
  await page.getByRole('heading', { name: '今天想聊点什么？' }).waitFor();
  assert.deepEqual(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme]), [
    'zh-CN',
    'dark',
  ]);
  await shot(page, 'welcome-zh-dark');
});

test('reach: errors come in the language of the page', async (browser) => {
  const page = await open(browser, {
    key: suite.key,
    locale: 'zh-CN',
    path: '#/chat/00000000-0000-0000-0000-000000000000',
  });
  await page.getByRole('heading', { name: '无法显示这个对话' }).waitFor();
  assert.match(await page.getByRole('alert').innerText(), /[\u4e00-\u9fff]/);
});

test('reach: the theme follows the system', async (browser) => {
  const page = await open(browser, { key: suite.key, colorScheme: 'dark' });
  await until(page, () => document.documentElement.dataset.theme === 'dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await until(page, () => document.documentElement.dataset.theme === 'light');
});

test('reach: a phone of 360 pixels shows every page without scrolling sideways', async (browser) => {
  for (const locale of ['en-US', 'zh-CN']) {
    const page = await open(browser, {
      key: suite.key,
      locale,
      viewport: { width: 360, height: 740 },
      hasTouch: true,
      isMobile: true,
    });
    for (const path of PAGES) {
      await page.goto(`${suite.url}/${path}`);
      await page.locator('main h1').first().waitFor({ state: 'attached' });
      await page.locator('.loading').waitFor({ state: 'detached' });
      const wide = await page.evaluate(() =>
        [...document.querySelectorAll('main, main *')]
          .filter(
            (element) =>
              element.getBoundingClientRect().right > innerWidth + 1 &&
              !element.closest('.md-table, .code pre, .table-frame, .visually-hidden, .menu'),
          )
          .map((element) => `${element.tagName}.${element.className}`),
      );
      assert.deepEqual(wide, [], path);
      await shot(page, `phone-${locale.slice(0, 2)}-${path.replace(/\W+/g, '-').slice(1)}`);
    }
  }
});

test('reach: on a phone the drawer leads to a conversation, and the chat works', async (browser) => {
  const page = await open(browser, {
    key: suite.key,
    viewport: { width: 360, height: 740 },
    hasTouch: true,
    isMobile: true,
  });
  const field = page.getByRole('textbox', { name: 'Message' });
  await field.fill('Say hello.');
  await page.getByRole('button', { name: 'Send' }).click();
  await answered(page);
  await shot(page, 'phone-chat');
  await page.getByRole('button', { name: 'Menu', exact: true }).click();
  await page.getByRole('link', { name: 'Replicas' }).waitFor();
  await shot(page, 'phone-drawer');
  await page.keyboard.press('Escape');
  await until(page, () => document.activeElement?.getAttribute('aria-label') === 'Menu');
  await page.getByRole('button', { name: 'Menu', exact: true }).click();
  await page.locator('.history-item', { hasText: 'Say hello.' }).first().getByRole('link').click();
  await until(page, () => !document.querySelector('.sidebar.open'));
});

/** Presses Tab, or Shift+Tab for what lies before, until the element that `matches` describes has the focus. */
async function tabTo(page, name, { most = 60, key = 'Tab' } = {}) {
  for (let presses = 0; presses < most; presses += 1) {
    await page.keyboard.press(key);
    const found = await page.evaluate((wanted) => {
      const element = document.activeElement === document.body ? null : document.activeElement;
      const label =
        element?.getAttribute('aria-label') ?? (element?.labels?.[0]?.innerText || element?.innerText || '');
      return label.trim().startsWith(wanted);
    }, name);
    if (found) return;
  }
  assert.fail(`${name} was not reached with Tab`);
}

test('reach: everything from sign-in to a branch with the keyboard alone', async (browser) => {
  const page = await open(browser);
  await until(page, () => document.activeElement?.getAttribute('name') === 'api-key');
  await page.keyboard.type(suite.key);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'What shall we work on?' }).waitFor();
  await until(page, () => document.activeElement?.tagName === 'TEXTAREA');
  await page.keyboard.type('Name a city.');
  await page.keyboard.press('Enter');
  await page.locator('.message.mine').waitFor();
  await answered(page);
  await tabTo(page, 'Answer again', { key: 'Shift+Tab' });
  await page.keyboard.press('Enter');
  await page.locator('.message.running').waitFor();
  await answered(page);
  await page.getByRole('group', { name: 'Branch 2 of 2' }).waitFor();

  // A page that was just loaded begins with the way past its side bar.
  await page.reload();
  await page.locator('.message.theirs').waitFor();
  await page.evaluate(() => document.activeElement?.blur());
  await page.evaluate(() => getSelection()?.setPosition(document.body, 0));
  await tabTo(page, 'Skip to the content', { most: 120 });
  await page.keyboard.press('Enter');
  await until(page, () => document.activeElement?.id === 'main');

  await tabTo(page, 'Language', { key: 'Shift+Tab' });
  await page.keyboard.press('Enter');
  await until(page, () => document.activeElement?.getAttribute('aria-checked') === 'true');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.getByRole('textbox', { name: '消息' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')), '语言');
});

test('reach: a dialog holds the focus and gives it back', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/keys' });
  const button = page.getByRole('button', { name: 'Create a key' });
  await button.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  for (let presses = 0; presses < 12; presses += 1) {
    await page.keyboard.press('Tab');
    // Between the last and the first element the focus is with the browser itself, for which the page sees its body.
    const inside = await page.evaluate(
      () => document.activeElement === document.body || !!document.activeElement?.closest('dialog'),
    );
    assert.ok(inside);
  }
  await page.keyboard.press('Escape');
  await until(page, () => document.activeElement?.textContent?.includes('Create a key'));
});
