import { assert, open, suite, test } from '../harness.mjs';

test('usage: a quota is set, shown with what is used, and removed', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/usage' });
  await page.getByRole('button', { name: 'Set a quota' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Quota').selectOption('concurrent_jobs');
  await dialog.getByLabel('Amount').fill('4321');
  await dialog.getByRole('button', { name: 'Set a quota' }).click();
  const row = page.locator('tr', { hasText: '4,321' });
  await row.getByText('Jobs at a time').waitFor();
  await row.getByRole('button', { name: /^Remove/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await row.waitFor({ state: 'detached' });
});

test('usage: a price is set and the report is saved', async (browser) => {
  const model = `priced-${Date.now().toString(36)}`;
  const page = await open(browser, { key: suite.key, path: '#/usage' });
  await page.getByRole('button', { name: 'Set a price' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Model').fill(model);
  await dialog.getByLabel('A million prompt tokens').fill('0.15');
  await dialog.getByRole('button', { name: 'Set a price' }).click();
  const row = page.locator('tr', { hasText: model });
  await row.getByText('0.15 CNY').waitFor();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save as CSV' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'usage.csv');
  await row.getByRole('button', { name: /^Remove/ }).click();
  await row.waitFor({ state: 'detached' });
});
