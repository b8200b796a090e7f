import { assert, open, shot, suite, test } from '../harness.mjs';

test('keys: shown once, used by a member, revoked at once', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/keys' });
  const name = `ward-${Date.now().toString(36)}`;
  await page.getByRole('button', { name: 'Create a key' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  const dialog = page.getByRole('dialog', { name: `Key for ${name}` });
  const secret = await dialog.locator('.secret code').innerText();
  assert.ok(secret.length >= 12);
  await page.keyboard.press('Escape');
  assert.equal(await dialog.isVisible(), true, 'a key that is shown once is not lost by Escape');
  await dialog.getByRole('button', { name: 'I have copied it' }).click();
  const row = page.getByRole('row', { name: new RegExp(name) });
  await row.waitFor();
  assert.equal((await page.content()).includes(secret), false);
  await shot(page, 'keys-en');

  const member = await open(browser, { key: secret });
  await member.getByRole('heading', { name: /What shall we work on|First, a model/ }).waitFor();
  assert.equal(await member.getByRole('link', { name: 'Keys' }).count(), 0);
  await member.goto(`${suite.url}/#/keys`);
  await member.getByRole('heading', { name: 'This page is for administrators' }).waitFor();

  await row.getByRole('button', { name: /^Revoke/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await row.waitFor({ state: 'detached' });
  await page.getByLabel('Show revoked keys').check();
  await page.getByRole('row', { name: new RegExp(`${name}[\\s\\S]*Revoked`) }).waitFor();

  await member.goto(`${suite.url}/#/replicas`);
  await member.getByText(/You were signed out/).waitFor();
});
