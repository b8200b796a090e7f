import { answered, assert, chatOnce, open, shot, suite, test } from '../harness.mjs';

test('branches: another answer, an edited question, and the way back; kept over a reload', async (browser) => {
  const page = await open(browser, { key: suite.key });
  await chatOnce(page, 'Name a colour.');
  const answers = page.locator('.message.theirs');
  const first = await answers.locator('.md').innerText();

  await page.getByRole('button', { name: 'Answer again' }).click();
  await answered(page);
  await page.getByRole('group', { name: 'Branch 2 of 2' }).waitFor();
  await page.getByRole('button', { name: 'Previous branch' }).click();
  await page.getByRole('group', { name: 'Branch 1 of 2' }).waitFor();
  assert.equal(await answers.locator('.md').innerText(), first);

  await page.locator('.message.mine').hover();
  await page.getByRole('button', { name: 'Edit' }).click();
  const editor = page.getByRole('textbox', { name: 'Edit your message' });
  assert.equal(await editor.inputValue(), 'Name a colour.');
  await editor.fill('Name a fruit.');
  await page.getByRole('button', { name: 'Send as a new branch' }).click();
  await page.locator('.message.mine', { hasText: 'Name a fruit.' }).waitFor();
  await answered(page);
  const mine = page.locator('.message.mine');
  await mine.getByRole('group', { name: 'Branch 2 of 2' }).waitFor();
  await shot(page, 'branches');

  await mine.getByRole('button', { name: 'Previous branch' }).click();
  await page.locator('.message.mine', { hasText: 'Name a colour.' }).waitFor();
  // The answer that was looked at last on that branch, not the newest one.
  await answers.getByRole('group', { name: 'Branch 1 of 2' }).waitFor();
  assert.equal(await answers.locator('.md').innerText(), first);

  await Promise.all([
    page.waitForResponse((response) => response.request().method() === 'PATCH'),
    mine.getByRole('button', { name: 'Next branch' }).click(),
  ]);
  await page.reload();
  await page.locator('.message.mine', { hasText: 'Name a fruit.' }).waitFor();
  await mine.getByRole('group', { name: 'Branch 2 of 2' }).waitFor();
});

test('branches: Escape leaves an edit as it was', async (browser) => {
  const page = await open(browser, { key: suite.key });
  await chatOnce(page, 'Say yes.');
  await page.locator('.message.mine').hover();
  await page.getByRole('button', { name: 'Edit' }).click();
  await page.getByRole('textbox', { name: 'Edit your message' }).fill('something else');
  await page.keyboard.press('Escape');
  await page.locator('.message.mine .bubble', { hasText: 'Say yes.' }).waitFor();
  assert.equal(await page.locator('.message').count(), 2);
});
