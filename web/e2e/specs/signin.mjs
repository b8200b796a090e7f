import { assert, open, suite, test } from '../harness.mjs';

test('sign in: an unknown key is refused in the words of the suite, with the request id', async (browser) => {
  const page = await open(browser);
  await page.getByLabel('API key', { exact: true }).fill('no-such-key');
  await page.getByRole('button', { name: 'Sign in' }).click();
  const note = page.getByRole('alert');
  await note.waitFor();
  assert.match(await note.innerText(), /key/i);
  assert.match(await note.innerText(), /Request id/);
});

test('sign in: an empty field says so and takes the focus', async (browser) => {
  const page = await open(browser);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Enter a key first.').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute('name')), 'api-key');
});

test('sign in: the key lasts for the tab, or for the device by choice, and is forgotten at sign out', async (browser) => {
  const page = await open(browser);
  await page.getByLabel('API key', { exact: true }).fill(suite.key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'What shall we work on?' }).waitFor();
  await page.reload();
  await page.getByRole('heading', { name: 'What shall we work on?' }).waitFor();
  const other = await page.context().newPage();
  await other.goto(suite.url);
  await other.getByLabel('API key', { exact: true }).fill(suite.key);
  await other.getByLabel(/Keep me signed in/).check();
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.getByRole('heading', { name: 'What shall we work on?' }).waitFor();
  const third = await page.context().newPage();
  await third.goto(suite.url);
  await third.getByRole('heading', { name: 'What shall we work on?' }).waitFor();
  await third.getByRole('button', { name: /^Account/ }).click();
  await third.getByRole('menuitem', { name: 'Sign out' }).click();
  await third.getByLabel('API key', { exact: true }).waitFor();
  assert.equal(
    await third.evaluate(() => localStorage.getItem('rixin.key') ?? sessionStorage.getItem('rixin.key')),
    null,
  );
});

test('sign in: a Chinese browser is met in Chinese', async (browser) => {
  const page = await open(browser, { locale: 'zh-CN' });
  await page.getByRole('button', { name: '登录' }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-CN');
});
