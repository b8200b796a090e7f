import { assert, open, shot, suite, test } from '../harness.mjs';

const post = async (path, body) => {
  const answer = await fetch(`${suite.url}${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${suite.key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.json();
};

test('jobs: one that failed says why, is tried again, and removed', async (browser) => {
  const target = `/no/such/model-${Date.now().toString(36)}.gguf`;
  await post('/api/jobs', { kind: 'import', params: { target, accept_licence: true } });
  const page = await open(browser, { key: suite.key, path: '#/jobs' });
  const row = page.locator('.row', { hasText: target });
  await row.getByText('failed', { exact: true }).waitFor({ timeout: 30_000 });
  assert.match(await row.locator('.field-error').innerText(), /no\/such/);
  await row.getByRole('button', { name: /^Log/ }).click();
  await row
    .getByRole('region', { name: 'Log' })
    .getByText(/begins/)
    .waitFor();
  await shot(page, 'jobs-en');
  await row.getByRole('button', { name: /^Try again/ }).click();
  await row.getByText(/attempt 2/).waitFor({ timeout: 30_000 });
  await row.getByText('failed', { exact: true }).waitFor({ timeout: 30_000 });
  await row.getByRole('button', { name: /^Remove/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await row.waitFor({ state: 'detached' });
});

test('jobs: a batch that runs is shown, and cancelled', async (browser) => {
  const lines = Array.from({ length: 400 }, (_, n) =>
    JSON.stringify({
      custom_id: `q${n}`,
      method: 'POST',
      url: '/v1/chat/completions',
      body: { model: suite.model, max_tokens: 32, messages: [{ role: 'user', content: `Count to ${n}.` }] },
    }),
  );
  const form = new FormData();
  form.append('purpose', 'batch');
  const name = `counting-${Date.now()}.jsonl`;
  form.append('file', new Blob([lines.join('\n')]), name);
  const sent = await fetch(`${suite.url}/v1/files`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${suite.key}` },
    body: form,
  });
  assert.equal(sent.status, 200, await sent.clone().text());
  const { id } = await sent.json();
  await post('/v1/batches', { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' });
  const page = await open(browser, { key: suite.key, path: '#/jobs' });
  const row = page.locator('.row', { hasText: name });
  await row.getByRole('progressbar').waitFor({ timeout: 60_000 });
  await row.getByRole('button', { name: /^Cancel/ }).click();
  await row.getByText('cancelled', { exact: true }).waitFor({ timeout: 30_000 });
});
