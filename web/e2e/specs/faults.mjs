import { answered, assert, open, say, shot, suite, test } from '../harness.mjs';

test('faults: an error in mid-stream keeps the text, says why, and can be tried again', async (browser) => {
  const page = await open(browser, { key: suite.key });
  const events = [
    { choices: [{ index: 0, delta: { role: 'assistant', content: 'The beginning of an ' } }] },
    { choices: [{ index: 0, delta: { content: 'answer' } }] },
    { error: { message: 'the replica died while it answered: ask again', code: 'replica_lost' } },
  ];
  await page.route('**/v1/chat/completions', (route) =>
    route.fulfill({
      contentType: 'text/event-stream',
      headers: { 'x-request-id': 'req-of-the-test' },
      body: events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''),
    }),
  );
  await say(page, 'Say something.');
  const note = page.getByRole('alert');
  await note.waitFor();
  assert.match(await note.innerText(), /The answer broke off/);
  assert.match(await note.innerText(), /the replica died while it answered/);
  assert.match(await note.innerText(), /req-of-the-test/);
  await page.getByText('The beginning of an answer').waitFor();
  await shot(page, 'fault-mid-stream');
  await page.unroute('**/v1/chat/completions');
  await note.getByRole('button', { name: 'Try again' }).click();
  await answered(page);
  await page.locator('.message.theirs').getByRole('group', { name: 'Branch 2 of 2' }).waitFor();
  assert.equal(await page.getByRole('alert').count(), 0);
});

test('faults: a stream that is cut short is no answer', async (browser) => {
  const page = await open(browser, { key: suite.key });
  await page.route('**/v1/chat/completions', (route) =>
    route.fulfill({
      contentType: 'text/event-stream',
      body: `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'Half' } }] })}\n\n`,
    }),
  );
  await say(page, 'Say something.');
  await page.getByText('The connection broke before the answer was complete.').waitFor();
});

test('faults: a refusal before the stream shows the reason, and the question stays', async (browser) => {
  const page = await open(browser, { key: suite.key });
  await page.route('**/v1/chat/completions', (route) =>
    route.fulfill({
      status: 503,
      contentType: 'application/json',
      headers: { 'x-request-id': 'req-503' },
      body: JSON.stringify({
        error: { message: 'it needs 6.1 GiB, 3.9 GiB are free: stop a replica', code: 'insufficient_memory' },
      }),
    }),
  );
  await say(page, 'Are you there?');
  const note = page.getByRole('alert');
  await note.waitFor();
  assert.match(await note.innerText(), /No answer came[\s\S]*needs 6\.1 GiB[\s\S]*req-503/);
  assert.equal(await page.locator('.message.mine').count(), 1);
});

test('faults: a model that thinks shows its thoughts apart, folded', async (browser) => {
  const page = await open(browser, { key: suite.key });
  const events = [
    { choices: [{ index: 0, delta: { reasoning_content: 'Two thoughts.' } }] },
    { choices: [{ index: 0, delta: { content: 'One answer.' } }] },
    { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
  ];
  await page.route('**/v1/chat/completions', (route) =>
    route.fulfill({
      contentType: 'text/event-stream',
      body: `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`,
    }),
  );
  await say(page, 'Think.');
  await answered(page);
  await page.reload();
  await page.getByText('One answer.').waitFor();
  assert.equal(await page.getByText('Two thoughts.').isVisible(), false);
  await page.getByText('Thoughts', { exact: true }).click();
  assert.equal(await page.getByText('Two thoughts.').isVisible(), true);
});

test('faults: a suite that is gone is said so, and taken up again when it is back', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/replicas' });
  await page.getByRole('heading', { name: 'Memory' }).waitFor();
  await page.context().setOffline(true);
  await page.getByText("The suite can't be reached. Trying again…").waitFor();
  await shot(page, 'offline');
  await page.context().setOffline(false);
  await page.getByText("The suite can't be reached. Trying again…").waitFor({ state: 'detached' });
  await page.getByText('Connected again').waitFor();
});

test('faults: an address that leads nowhere', async (browser) => {
  const page = await open(browser, { key: suite.key, path: '#/no/such/page' });
  await page.getByRole('heading', { name: 'There is nothing here' }).waitFor();
  await page.goto(`${suite.url}/no/such/path`);
  await page.getByRole('heading', { name: 'There is nothing here' }).waitFor();
  await page.getByRole('link', { name: 'Go to chat' }).click();
  await page.getByRole('heading', { name: 'What shall we work on?' }).waitFor();
});
