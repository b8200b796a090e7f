import { assert, open, shot, suite, test } from '../harness.mjs';

// 1 x 1, without metadata.
const picture = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

test('artifacts: a file is uploaded, found, looked at, and removed', async (browser) => {
  const name = `picture-${Date.now().toString(36)}.png`;
  const page = await open(browser, { key: suite.key, path: '#/artifacts' });
  await page.locator('input[type=file]').setInputFiles({ name, mimeType: 'image/png', buffer: picture });
  const row = page.locator('.row', { hasText: name });
  await row.getByText('ready', { exact: true }).waitFor();
  await page.getByRole('searchbox', { name: 'Name or hash' }).fill(name);
  await row.getByRole('button', { name: `Details of ${name}` }).click();
  await row.getByRole('img', { name: `Preview of ${name}` }).waitFor();
  await row.getByText('Nothing is known of what it was made from.').waitFor();
  await shot(page, 'artifacts-en');
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    row.getByRole('button', { name: 'Download' }).click(),
  ]);
  assert.equal(download.suggestedFilename(), name);
  await row.getByRole('button', { name: 'Remove' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await row.waitFor({ state: 'detached' });
});

test('verify: anybody has a file checked without an account', async (browser) => {
  const page = await open(browser, { path: '#/verify' });
  await page.getByRole('heading', { name: 'Verify a file', level: 1 }).waitFor();
  const chooser = page.locator('.drop input[type=file]');
  await chooser.setInputFiles({ name: 'unknown.png', mimeType: 'image/png', buffer: picture });
  await page.getByText('Not signed', { exact: true }).waitFor();
  await page.getByText(/nothing is known of where it came from/).waitFor();
  await page.getByRole('link', { name: 'Sign in' }).click();
  await page.getByLabel('API key').waitFor();
});
