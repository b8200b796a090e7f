import { assert, open, shot, suite, test } from '../harness.mjs';

test('models: the catalogue says what fits, and is searched and filtered', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/models' });
  const cards = page.locator('.card');
  await cards.first().waitFor();
  const all = await cards.count();
  assert.ok(all >= 2, `${all} entries`);
  await shot(page, 'models-en');
  await page.getByRole('searchbox', { name: 'Search models' }).fill('SmolLM2 135M');
  const found = cards.filter({ hasText: 'SmolLM2 135M Instruct' }).first();
  await found.waitFor();
  await page.waitForFunction((before) => document.querySelectorAll('.card').length < before, all);
  assert.match(await found.innerText(), /SmolLM2[\s\S]*Installed[\s\S]*Apache-2\.0/);
  await page.getByRole('searchbox', { name: 'Search models' }).fill('');
  await page.getByRole('combobox', { name: 'Language' }).selectOption('zh');
  await page.locator('.count').waitFor();
  for (const text of await cards.allInnerTexts()) assert.match(text, /Chinese/);
  await page.getByLabel('Fits this machine').check();
  await page.locator('.count').waitFor();
});

test('models: nothing is pulled before its licence is accepted', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/models' });
  const preview = {
    id: 'some-model',
    name: 'Some Model',
    licence: { name: 'Some Terms', url: 'https://example.org/terms' },
    licence_text: { en: 'Read them before you accept.', zh: '接受前请阅读。' },
    size_bytes: 1000,
    files: [{ path: 'a.gguf', size: 1000 }],
    source: 'hf:some/model',
    installed: false,
  };
  const started = [];
  await page.route('**/api/pulls/preview', (route) => route.fulfill({ json: preview }));
  page.on('request', (request) => {
    if (request.method() === 'POST' && request.url().endsWith('/api/pulls')) started.push(request.postDataJSON());
  });
  await page.route('**/api/pulls', (route) =>
    route.request().method() === 'POST'
      ? route.fulfill({ status: 409, json: { error: { message: 'not in this test', code: 'conflict' } } })
      : route.continue(),
  );
  await page
    .getByRole('button', { name: /^Pull / })
    .first()
    .click();
  const dialog = page.getByRole('dialog', { name: 'Pull Some Model' });
  await dialog.getByText('Read them before you accept.').waitFor();
  const go = dialog.getByRole('button', { name: 'Accept and pull' });
  assert.equal(await go.isDisabled(), true);
  await shot(page, 'licence');
  await dialog.getByLabel('I accept the licence “Some Terms”').check();
  await go.click();
  await dialog.getByText('not in this test').waitFor();
  assert.equal(started[0].accept_licence, true);
});

test('models: a licence can be named where the source names none', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/models' });
  const preview = {
    id: 'some-model',
    name: 'Some Model',
    licence: { name: 'unknown' },
    licence_text: { en: 'No licence is named.', zh: '未注明许可。' },
    files: [{ path: 'a.gguf', size: 1000 }],
    source: 'file:/srv/a.gguf',
    installed: false,
  };
  await page.route('**/api/pulls/preview', (route) => route.fulfill({ json: preview }));
  await page.route('**/api/pulls', (route) =>
    route.request().method() === 'POST'
      ? route.fulfill({ status: 409, json: { error: { message: 'not in this test', code: 'conflict' } } })
      : route.continue(),
  );
  await page
    .getByRole('button', { name: /^Pull / })
    .first()
    .click();
  const dialog = page.getByRole('dialog', { name: 'Pull Some Model' });
  await dialog.getByLabel('I accept the licence “not named”').waitFor();
  await dialog.getByRole('textbox', { name: 'Licence, if you know it' }).fill(' Apache-2.0 ');
  await dialog.getByLabel('I accept the licence “Apache-2.0”').check();
  const asked = page.waitForRequest((request) => request.method() === 'POST' && request.url().endsWith('/api/pulls'));
  await dialog.getByRole('button', { name: 'Accept and pull' }).click();
  assert.equal((await asked).postDataJSON().licence, 'Apache-2.0');
  await dialog.getByText('not in this test').waitFor();
});

test('models: a pull shows its progress, and its end', async (browser) => {
  const page = await open(browser, { key: suite.key });
  const pull = (change) => ({
    id: 'pull-1',
    target: 'hf:some/model',
    model_id: 'some-model',
    state: 'running',
    stage: 'download',
    item: 'a.gguf',
    done: 300,
    total: 1000,
    unit: 'bytes',
    created_at: Date.now(),
    ...change,
  });
  let release;
  const end = new Promise((resolve) => {
    release = resolve;
  });
  await page.route('**/api/pulls', (route) => route.fulfill({ json: { data: [pull({})] } }));
  await page.route('**/api/pulls/pull-1/events', async (route) => {
    await end;
    await route.fulfill({
      contentType: 'text/event-stream',
      body: `data: ${JSON.stringify(pull({ done: 700 }))}\n\ndata: ${JSON.stringify(pull({ state: 'done', done: 1000 }))}\n\n`,
    });
  });
  await page.getByRole('link', { name: 'Models' }).click();
  const bar = page.getByRole('progressbar', { name: 'some-model: Downloading' });
  await bar.waitFor();
  assert.equal(await bar.getAttribute('aria-valuenow'), '30');
  release();
  await page.getByText('some-model is installed').waitFor();
});

test('models: an address that can not be read is refused in the words of the suite', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/models' });
  await page.getByRole('button', { name: 'Import by address' }).click();
  await page.getByRole('textbox', { name: 'Address' }).fill('file:/no/such/file.gguf');
  await page.getByRole('button', { name: 'Next' }).click();
  const note = page.getByRole('dialog').getByRole('alert');
  await note.waitFor();
  assert.ok((await note.innerText()).length > 10);
});

test('models: an installed model shows licence, source and hash, and its files are checked', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/models/installed' });
  const card = page.locator('.card', { hasText: 'SmolLM2' }).first();
  await card.getByRole('button', { name: /^Details/ }).click();
  const dialog = page.getByRole('dialog');
  const text = await dialog.innerText();
  assert.match(text, /Apache-2\.0/);
  assert.match(text, /b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53/);
  await shot(page, 'model-details');
  await dialog.getByRole('button', { name: 'Verify files' }).click();
  await dialog.getByText(/All files of .+ are intact\./).waitFor({ timeout: 60_000 });
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await card.getByRole('button', { name: 'Chat with it' }).click();
  await page.getByRole('heading', { name: 'What shall we work on?' }).waitFor();
});
