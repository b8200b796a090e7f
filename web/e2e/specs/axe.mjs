// axe on every page, in both themes: nothing serious or critical.

import axe from 'axe-core';
import { api, assert, open, suite, test } from '../harness.mjs';

async function violations(page) {
  await page.evaluate(axe.source);
  // Transitions from one theme to the other would be measured half way.
  await page.evaluate(() =>
    Promise.all(
      document
        .getAnimations()
        .filter((a) => a.effect?.getTiming().iterations !== Number.POSITIVE_INFINITY)
        .map((a) => a.finished.catch(() => undefined)),
    ),
  );
  const { violations: found } = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ['violations'] }),
  );
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 160)} ${node.failureSummary ?? ''}`));
}

const ANSWER = `# 标题

**注意：**see [a link](https://example.org) and \`code\`.

- [x] done
- [ ] open

| a | b |
|---|--:|
| 1 | 2 |

> quoted

\`\`\`python
def f(x: int) -> str:
    """Text."""
    return f"{x}"  # comment
\`\`\`
`;

async function conversation() {
  const { id } = await api('POST', '/api/conversations', { title: 'For axe', model: suite.model });
  const asked = await api('POST', `/api/conversations/${id}/messages`, {
    role: 'user',
    content: 'Show me everything.',
  });
  for (const finish_reason of ['stop', 'length']) {
    await api('POST', `/api/conversations/${id}/messages`, {
      parent_id: asked.id,
      role: 'assistant',
      content: `<think>\nhm\n</think>\n\n${ANSWER}`,
      model: suite.model,
      usage: { prompt_tokens: 3, completion_tokens: 4 },
      finish_reason,
    });
  }
  return id;
}

for (const colorScheme of ['light', 'dark']) {
  test(`axe: every page, ${colorScheme}`, async (browser) => {
    const id = await conversation();
    const found = [];
    const check = async (page, where) => {
      for (const text of await violations(page)) found.push(`${where}: ${text}`);
    };
    const signIn = await open(browser, { colorScheme });
    await signIn.getByRole('button', { name: 'Sign in' }).click();
    await signIn.getByText('Enter a key first.').waitFor();
    await check(signIn, 'sign in');

    const page = await open(browser, { key: suite.key, colorScheme });
    await page.getByRole('heading', { name: 'What shall we work on?' }).waitFor();
    await check(page, 'welcome');
    for (const path of ['#/models', '#/models/installed', '#/replicas', '#/keys', '#/usage', '#/no/such']) {
      await page.goto(`${suite.url}/${path}`);
      await page.locator('main h1').first().waitFor({ state: 'attached' });
      await page.locator('.loading').waitFor({ state: 'detached' });
      await check(page, path);
    }
    await page.goto(`${suite.url}/#/chat/${id}`);
    await page.locator('.code .hljs-keyword').first().waitFor();
    await check(page, 'chat');
    await page.getByRole('button', { name: 'Settings of this chat' }).click();
    await page.getByLabel('System prompt').waitFor();
    await check(page, 'chat settings');
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('button', { name: 'Appearance' }).click();
    await page.getByRole('menuitemradio').first().waitFor();
    await check(page, 'menu');
    await page.goto(`${suite.url}/#/keys`);
    await page.getByRole('button', { name: 'Create a key' }).click();
    await page.getByRole('dialog').waitFor();
    await check(page, 'dialog');
    await page.keyboard.press('Escape');
    const phone = await open(browser, { key: suite.key, colorScheme, viewport: { width: 360, height: 740 } });
    await phone.getByRole('button', { name: 'Menu', exact: true }).click();
    await phone.getByRole('link', { name: 'Replicas' }).waitFor();
    await check(phone, 'phone menu');
    await api('DELETE', `/api/conversations/${id}`);
    assert.deepEqual(found, []);
  });
}
