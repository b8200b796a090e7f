// Signing in at a real OpenID Connect provider, as a browser does: redirects are followed by hand, each origin has its cookies.

import assert from 'node:assert/strict';
import { test } from 'node:test';

const suite = process.env.RIXIN_URL;
const issuer = process.env.OIDC_ISSUER;

/** A browser: cookies by origin, no redirect followed unless asked. */
class Browser {
  jars = new Map();

  async ask(url, { method = 'GET', form, headers = {} } = {}) {
    const { origin } = new URL(url);
    const jar = this.jars.get(origin) ?? new Map();
    this.jars.set(origin, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, {
      method,
      redirect: 'manual',
      body: form && new URLSearchParams(form),
      headers: { ...(cookie && { cookie }), 'accept-language': 'en', ...headers },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(';').map((part) => part.trim());
      const name = pair.slice(0, pair.indexOf('='));
      const gone = attributes.some((one) => /^max-age=0$/i.test(one) || /^expires=thu, 01 jan 1970/i.test(one));
      if (gone) jar.delete(name);
      else jar.set(name, pair.slice(name.length + 1));
    }
    return answer;
  }

  /** Follows redirects up to the one that leads to `stop`, and fills in the provider's pages. */
  async follow(url, login, stop) {
    for (let step = 0; step < 20; step += 1) {
      if (stop(url)) return url;
      let answer = await this.ask(url);
      if (answer.status === 200 && url.includes('/interaction/')) {
        const page = await answer.text();
        const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1];
        assert.ok(prompt, page);
        answer = await this.ask(url, { method: 'POST', form: { prompt, login, password: 'any' } });
      }
      const next = answer.headers.get('location');
      assert.ok(next, `${answer.status} from ${url}: ${await answer.text()}`);
      url = new URL(next, url).href;
    }
    assert.fail('too many redirects');
  }

  /** Up to the address at which the provider sends the browser back. */
  begin(login) {
    return this.follow(`${suite}/sign-in/oidc`, login, (url) => url.startsWith(`${suite}/sign-in/oidc/callback`));
  }

  async signIn(login) {
    const back = await this.begin(login);
    const answer = await this.ask(back);
    assert.equal(answer.status, 303, await answer.text());
    return new URL(answer.headers.get('location'), suite);
  }

  async me() {
    const answer = await this.ask(`${suite}/api/me`);
    return { status: answer.status, ...(await answer.json()) };
  }
}

test('who has a verified address of the organisation becomes a member', async () => {
  const browser = new Browser();
  const begun = await browser.ask(`${suite}/sign-in/oidc`);
  assert.equal(begun.status, 303);
  const there = new URL(begun.headers.get('location'));
  assert.equal(there.origin, issuer);
  assert.equal(there.searchParams.get('code_challenge_method'), 'S256');
  assert.ok(there.searchParams.get('state') && there.searchParams.get('nonce'));
  const flow = begun.headers.getSetCookie().find((line) => line.startsWith('rixin_oidc='));
  assert.match(flow, /HttpOnly/);
  assert.match(flow, /SameSite=Lax/);

  const end = await browser.signIn('alice');
  assert.equal(end.pathname + end.hash, '/#/chat');
  const me = await browser.me();
  assert.equal(me.status, 200);
  assert.equal(me.name, 'alice@example.org');
  assert.equal(me.role, 'member');
  const again = new Browser();
  await again.signIn('alice');
  assert.equal((await again.me()).key_id, me.key_id, 'the same person is the same member');
});

test('a group of the provider makes an owner, and its loss a member', async () => {
  const browser = new Browser();
  await browser.signIn('boss');
  assert.equal((await browser.me()).role, 'owner');
  await fetch(`${issuer}/groups/boss/staff`, { method: 'POST' });
  await new Browser().signIn('boss');
  assert.equal((await browser.me()).role, 'member', 'the older session too');
});

test('nobody else comes in', async () => {
  for (const login of ['stranger', 'unsure']) {
    const browser = new Browser();
    const end = await browser.signIn(login);
    assert.match(end.hash, /^#\/sign-in\/forbidden$/, login);
    assert.equal((await browser.me()).status, 401, login);
  }
});

test('an answer that was not asked for, or is told twice, opens nothing', async () => {
  const one = new Browser();
  const back = await one.begin('alice');
  const other = new Browser();
  let answer = await other.ask(back);
  assert.match(answer.headers.get('location'), /wrong_credentials$/, 'in a browser that did not begin it');
  assert.equal((await other.me()).status, 401);

  const forged = new URL(back);
  forged.searchParams.set('state', 'A'.repeat(43));
  answer = await one.ask(forged.href);
  assert.match(answer.headers.get('location'), /wrong_credentials$/);
  answer = await one.ask(back);
  assert.match(answer.headers.get('location'), /wrong_credentials$/, 'a mistake spends the sign-in');

  const two = new Browser();
  const good = await two.begin('alice');
  const kept = new Map(two.jars.get(suite));
  await two.ask(good);
  assert.equal((await two.me()).status, 200);
  const replay = new Browser();
  replay.jars.set(suite, kept);
  answer = await replay.ask(good);
  assert.match(answer.headers.get('location'), /wrong_credentials$/, 'told twice');

  const refused = await two.ask(`${suite}/sign-in/oidc/callback?error=access_denied&state=x`);
  assert.match(refused.headers.get('location'), /wrong_credentials$/);
});

test('new keys of the provider are looked up', async () => {
  await new Browser().signIn('alice');
  await fetch(`${issuer}/rotate`, { method: 'POST' });
  const browser = new Browser();
  await browser.signIn('alice');
  assert.equal((await browser.me()).status, 200);
});
