import { assert, open, shot, suite, test } from '../harness.mjs';

test('replicas: a model is started, shown with its memory, and stopped', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/replicas' });
  await page.getByRole('img', { name: /^Memory: / }).waitFor();
  const row = page.locator('.row', { hasText: suite.model });
  if ((await row.count()) === 0) {
    await page.getByLabel('Start a model').selectOption(suite.model);
    await page.getByRole('button', { name: 'Start', exact: true }).click();
  }
  await row.getByText(/^(Ready|Idle)$/).waitFor({ timeout: 60_000 });
  assert.match(await row.innerText(), /\d MiB|\d GiB/);
  await shot(page, 'replicas-en');
  await row.getByRole('button', { name: /^Stop/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Stop' }).click();
  await row.waitFor({ state: 'detached', timeout: 60_000 });
});

test('replicas: an external engine is added, found unreachable, and removed', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/replicas' });
  const name = `engine-${Date.now().toString(36)}`;
  await page.getByRole('button', { name: 'Add an engine' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill(name);
  await dialog.getByLabel('Base URL').fill('http://127.0.0.1:9/v1');
  await dialog.getByLabel('Models to offer').fill('far-model');
  await dialog.getByRole('button', { name: 'Add' }).click();
  const row = page.locator('.row', { hasText: name });
  await row.getByText('Unreachable').waitFor({ timeout: 40_000 });
  await row.getByRole('button', { name: /^Remove/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await row.waitFor({ state: 'detached' });
});

test('usage: what was asked is counted', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/usage' });
  await page.getByRole('img', { name: /^Tokens a day/ }).waitFor();
  await shot(page, 'usage-en');
  await page.getByRole('button', { name: 'Show as a table' }).click();
  await page.getByRole('table', { name: 'Tokens a day' }).waitFor();
  assert.match(await page.getByRole('table', { name: 'By model' }).innerText(), new RegExp(suite.model));
});
