import { api, assert, open, shot, suite, test } from '../harness.mjs';

const PASSWORD = 'correct horse battery';

test('members: invited, sets a password by the link, signs in and out, is kept out', async (browser) => {
  const owner = await open(browser, { key: suite.key, path: '#/members' });
  const name = `wang-${Date.now().toString(36)}`;
  await owner.getByRole('button', { name: 'Invite a member' }).click();
  await owner.getByRole('textbox', { name: 'Name for signing in' }).fill(name);
  await owner.getByRole('button', { name: 'Invite', exact: true }).click();
  const dialog = owner.getByRole('dialog', { name: `Link for ${name}` });
  const link = await dialog.locator('.secret code').innerText();
  await dialog.getByRole('button', { name: 'I have copied it' }).click();
  await owner.getByRole('row', { name: new RegExp(`${name}[\\s\\S]*Invited`) }).waitFor();
  await shot(owner, 'members-en');

  const member = await open(browser);
  await member.goto(link);
  await member.reload();
  await member.getByLabel('New password', { exact: true }).fill(PASSWORD);
  await member.getByLabel('The same again', { exact: true }).fill('something else');
  await member.getByRole('button', { name: 'Set the password' }).click();
  await member.getByText('The two passwords differ.').waitFor();
  await member.getByLabel('The same again', { exact: true }).fill(PASSWORD);
  await member.getByRole('button', { name: 'Set the password' }).click();
  await member.getByRole('heading', { name: /What shall we work on|First, a model/ }).waitFor();
  assert.equal(member.url().includes('invitation'), false, 'a link that was used leaves the address');
  assert.equal(
    await member.evaluate(
      () => `${document.cookie}${localStorage.getItem('rixin.key')}${sessionStorage.getItem('rixin.key')}`,
    ),
    'nullnull',
    'scripts see neither cookie nor key',
  );
  await member.reload();
  await member.getByRole('heading', { name: /What shall we work on|First, a model/ }).waitFor();

  await member.goto(`${suite.url}/#/sessions`);
  await member.getByRole('row', { name: /this session/ }).waitFor();
  await member.getByRole('button', { name: /^Account/ }).click();
  await member.getByRole('menuitem', { name: 'Sign out' }).click();
  await member.getByRole('button', { name: 'Sign in with name and password' }).click();
  await member.getByLabel('Name', { exact: true }).fill(name.toUpperCase());
  await member.getByLabel('Password', { exact: true }).fill('a wrong password');
  await member.getByRole('button', { name: 'Sign in', exact: true }).click();
  await member.getByRole('alert').waitFor();
  await member.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await member.getByRole('button', { name: 'Sign in', exact: true }).click();
  await member.getByRole('button', { name: /^Account/ }).waitFor();

  const { data } = await api('GET', '/api/members');
  const { id } = data.find((one) => one.name === name);
  await api('PATCH', `/api/members/${id}`, { disabled: true });
  await member.goto(`${suite.url}/#/usage`);
  await member.getByText(/You were signed out/).waitFor();
  await owner.reload();
  await owner.getByRole('button', { name: `Remove: ${name}` }).click();
  await owner.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await owner.getByRole('row', { name: new RegExp(name) }).waitFor({ state: 'detached' });
});

test('keys: one that is narrowed says so, and projects and organisations are named', async (browser) => {
  const stamp = Date.now().toString(36);
  const page = await open(browser, { key: suite.key, path: '#/projects' });
  await page.getByRole('button', { name: 'New project' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill(`statistics ${stamp}`);
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('row', { name: new RegExp(`statistics ${stamp}[\\s\\S]*Open`) }).waitFor();

  await page.goto(`${suite.url}/#/keys`);
  await page.getByRole('button', { name: 'Create a key' }).click();
  await page.getByRole('textbox', { name: 'Name' }).fill(`narrow-${stamp}`);
  await page.getByLabel('Project').selectOption({ label: `statistics ${stamp}` });
  await page.getByText('Narrow it further').click();
  await page.getByLabel('Rights at most').fill('ask, own_usage');
  await page.getByLabel('Networks').fill('127.0.0.0/8 ::1');
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('button', { name: 'I have copied it' }).click();
  const row = page.getByRole('row', { name: new RegExp(`narrow-${stamp}`) });
  await row.getByText('only ask, own_usage').waitFor();
  await row.getByText('from 127.0.0.0/8, ::1/128').waitFor();
  await row.getByText(`statistics ${stamp}`, { exact: true }).waitFor();

  await page.goto(`${suite.url}/#/organisations`);
  await page.getByRole('row', { name: /default[\s\S]*Host/ }).waitFor();
});
