import { ANSWER_MS, answered, api, assert, chatOnce, open, say, shot, suite, test, until } from '../harness.mjs';

test('chat: an answer is streamed, and says what it took', async (browser) => {
  const page = await open(browser, { key: suite.key });
  await say(page, 'Tell me about the sea, in five sentences.');
  const seen = new Set();
  const running = page.locator('.message.running .md');
  await running.waitFor({ timeout: ANSWER_MS });
  while ((await running.count()) > 0 && seen.size < 5) {
    seen.add((await running.innerText().catch(() => '')).length);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  }
  assert.ok(seen.size >= 3, `the text grew in ${seen.size} steps`);
  await answered(page);
  assert.match(await page.locator('.message.theirs .facts').innerText(), /\d+ \+ \d+ tokens/);
  assert.match(await page.locator('.message.theirs .facts').innerText(), /tokens\/s/);
  assert.match(page.url(), /#\/chat\/.+/);
  await page.locator('.history-item', { hasText: 'Tell me about the sea' }).first().waitFor();
  await shot(page, 'chat-en');
});

test('chat: stop keeps what has come', async (browser) => {
  const page = await open(browser, { key: suite.key });
  await say(page, 'Write a very long story about a lighthouse, at least two thousand words.');
  await page.locator('.message.running .md').waitFor({ timeout: ANSWER_MS });
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.locator('.message.running').waitFor({ state: 'detached' });
  await page.getByText('Stopped', { exact: true }).waitFor();
  assert.ok((await page.locator('.message.theirs .md').innerText()).length > 0);
  const id = new URL(page.url()).hash.split('/').pop();
  const { messages } = await api('GET', `/api/conversations/${id}`);
  assert.equal(messages.length, 2);
});

test('chat: system prompt and parameters are kept and sent', async (browser) => {
  const page = await open(browser, { key: suite.key });
  const bodies = [];
  page.on(
    'request',
    (request) => request.url().endsWith('/v1/chat/completions') && bodies.push(request.postDataJSON()),
  );
  await page.getByRole('button', { name: 'Settings of this chat' }).click();
  await page.getByLabel('System prompt').fill('You answer in one short sentence.');
  await page.getByRole('spinbutton', { name: 'Temperature' }).fill('0');
  await page.getByRole('spinbutton', { name: 'Most tokens' }).fill('24');
  await page.getByRole('spinbutton', { name: 'Seed' }).fill('7');
  await page.getByLabel('Stop texts').fill('THE END');
  await page.getByRole('button', { name: 'Close' }).click();
  await chatOnce(page, 'What is rain?');
  assert.equal(bodies.length, 1);
  assert.deepEqual(bodies[0].messages, [
    { role: 'system', content: 'You answer in one short sentence.' },
    { role: 'user', content: 'What is rain?' },
  ]);
  assert.equal(bodies[0].model, suite.model);
  assert.equal(bodies[0].temperature, 0);
  assert.equal(bodies[0].max_tokens, 24);
  assert.equal(bodies[0].seed, 7);
  assert.deepEqual(bodies[0].stop, ['THE END']);
  await page.reload();
  await page.getByRole('button', { name: 'Settings of this chat' }).click();
  assert.equal(await page.getByLabel('System prompt').inputValue(), 'You answer in one short sentence.');
  assert.equal(await page.getByRole('spinbutton', { name: 'Temperature' }).inputValue(), '0');
  await shot(page, 'chat-settings');
});

test('chat: Enter picks the candidate of an input method, and only then sends', async (browser) => {
  const page = await open(browser, { key: suite.key });
  const field = page.getByRole('textbox', { name: 'Message' });
  await field.focus();
  const client = await page.context().newCDPSession(page);
  await client.send('Input.imeSetComposition', { text: 'nihao', selectionStart: 5, selectionEnd: 5 });
  await client.send('Input.dispatchKeyEvent', {
    type: 'rawKeyDown',
    key: 'Enter',
    code: 'Enter',
    windowsVirtualKeyCode: 229,
  });
  assert.equal(await page.locator('.message').count(), 0);
  await client.send('Input.insertText', { text: '你好' });
  assert.equal(await field.inputValue(), '你好');
  // Safari sends the Enter that ended the composition right after it; a later one is meant.
  await until(page, (start) => performance.now() - start > 60, await page.evaluate(() => performance.now()));
  await field.press('Enter');
  await page.locator('.message.mine', { hasText: '你好' }).waitFor();
});

test('chat: Shift+Enter breaks the line, and a draft survives a reload', async (browser) => {
  const page = await open(browser, { key: suite.key });
  const field = page.getByRole('textbox', { name: 'Message' });
  await field.pressSequentially('first');
  await field.press('Shift+Enter');
  await field.pressSequentially('second');
  assert.equal(await field.inputValue(), 'first\nsecond');
  await page.reload();
  await until(page, () => document.querySelector('.composer textarea')?.value === 'first\nsecond');
});

test('chat: an answer goes on while another page is looked at', async (browser) => {
  const page = await open(browser, { key: suite.key });
  await say(page, 'Describe a garden in three sentences.');
  await page.locator('.message.running').waitFor();
  await page.getByRole('link', { name: 'Replicas' }).click();
  await page.getByRole('heading', { name: 'Replicas', level: 1 }).waitFor();
  await page.locator('.history-item', { hasText: 'Describe a garden' }).first().getByRole('link').click();
  await answered(page);
  assert.equal(await page.locator('.message').count(), 2);
});
