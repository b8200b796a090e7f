import { assert, open, suite, test } from '../harness.mjs';

test('audit: what was done is listed, found and verified', async (browser) => {
  const name = `audited ${Date.now().toString(36)}`;
  const made = await fetch(`${suite.url}/api/keys`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${suite.key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ name, role: 'member' }),
  });
  assert.equal(made.status, 201);
  const page = await open(browser, { key: suite.key, path: '#/audit' });
  const row = page.locator('tr', { hasText: name });
  await row.getByText('key.create', { exact: true }).waitFor();
  await row.getByText('done', { exact: true }).waitFor();
  await page.getByRole('searchbox', { name: 'Action' }).fill('external.');
  await row.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Verify' }).click();
  await page.getByText('Intact', { exact: true }).waitFor();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Export', exact: true }).click(),
  ]);
  assert.equal(download.suggestedFilename(), 'audit.jsonl');
});
