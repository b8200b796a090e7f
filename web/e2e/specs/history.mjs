import { readFile } from 'node:fs/promises';
import { api, assert, chatOnce, open, suite, test } from '../harness.mjs';

const word = `zanzibar${Date.now().toString(36)}`;

async function stored(title, question, answer) {
  const conversation = await api('POST', '/api/conversations', { title, model: suite.model });
  const asked = await api('POST', `/api/conversations/${conversation.id}/messages`, {
    role: 'user',
    content: question,
  });
  await api('POST', `/api/conversations/${conversation.id}/messages`, {
    parent_id: asked.id,
    role: 'assistant',
    content: answer,
    model: suite.model,
  });
  return conversation.id;
}

test('history: a conversation is there after a reload and in another browser', async (browser) => {
  const page = await open(browser, { key: suite.key });
  await chatOnce(page, `Repeat this word: ${word}`);
  const answer = await page.locator('.message.theirs .md').innerText();
  await page.reload();
  await page.locator('.message.theirs .md').waitFor();
  assert.equal(await page.locator('.message.theirs .md').innerText(), answer);
  const other = await open(browser, { key: suite.key });
  await other.locator('.history-item', { hasText: word }).getByRole('link').click();
  await other.locator('.message.theirs .md').waitFor();
  assert.equal(await other.locator('.message.theirs .md').innerText(), answer);
});

test('history: search finds words inside messages, in English and Chinese', async (browser) => {
  const id = await stored('关于血压', '高血压患者能喝咖啡吗？', `可以少量饮用。编号${word}x`);
  const page = await open(browser, { key: suite.key });
  const search = page.getByRole('searchbox', { name: 'Search conversations' });
  await search.fill(`${word}x`);
  await page.locator('.history-item', { hasText: '关于血压' }).waitFor();
  await search.fill('喝咖啡');
  await page.locator('.history-item', { hasText: '关于血压' }).first().waitFor();
  await search.fill('nothing-has-this-in-it');
  await page.getByText('No conversation contains “nothing-has-this-in-it”.').waitFor();
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.locator('.history-item').first().waitFor();
  await api('DELETE', `/api/conversations/${id}`);
});

test('history: renamed, exported as Markdown and JSON, deleted', async (browser) => {
  const id = await stored('Before', 'What is **bold**?', '| a | b |\n|---|---|\n| 1 | 2 |');
  const page = await open(browser, { key: suite.key, path: `#/chat/${id}` });
  await page.locator('.message.theirs table').waitFor();
  const head = page.locator('.chat-head');
  await head.getByRole('button', { name: 'Actions for “Before”' }).click();
  await page.getByRole('menuitem', { name: 'Rename' }).click();
  await page.getByRole('textbox', { name: 'Title' }).fill('After the rename');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { name: 'After the rename', level: 1 }).waitFor();
  await page.locator('.history-item', { hasText: 'After the rename' }).waitFor();

  const saved = async (item) => {
    await head.getByRole('button', { name: /^Actions/ }).click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('menuitem', { name: item }).click(),
    ]);
    return { name: download.suggestedFilename(), text: await readFile(await download.path(), 'utf8') };
  };
  const markdown = await saved('Export as Markdown');
  assert.equal(markdown.name, 'After-the-rename.md');
  assert.match(markdown.text, /# After the rename[\s\S]*What is \*\*bold\*\*\?[\s\S]*\| 1 \| 2 \|/);
  const json = JSON.parse((await saved('Export as JSON')).text);
  assert.equal(json.conversation.id, id);
  assert.equal(json.messages.length, 2);

  await head.getByRole('button', { name: /^Actions/ }).click();
  await page.getByRole('menuitem', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('heading', { name: 'What shall we work on?' }).waitFor();
  await page.locator('.history-item', { hasText: 'After the rename' }).waitFor({ state: 'detached' });
  await page.goto(`${suite.url}/#/chat/${id}`);
  await page.getByText("This conversation can't be shown").waitFor();
});
