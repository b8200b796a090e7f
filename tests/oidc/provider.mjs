// An OpenID Connect provider for the test: oidc-provider with its own pages, on a loopback port.
// Accounts are what somebody types as login; their claims are in the table below, and /claims changes them.

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;

/** What the provider says of each account. */
const accounts = {
  alice: { email: 'alice@example.org', email_verified: true, name: 'Alice 爱丽丝', groups: ['staff'] },
  boss: { email: 'boss@example.org', email_verified: true, name: 'Boss', groups: ['staff', 'ai-admins'] },
  stranger: { email: 'stranger@elsewhere.example', email_verified: true, groups: [] },
  unsure: { email: 'unsure@example.org', email_verified: false, groups: [] },
};

function key(kid) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
}

function provider(kid) {
  return new Provider(issuer, {
    clients: [
      {
        client_id: 'rixin',
        client_secret: 'a_secret_of_the_test_alone',
        application_type: 'native', // any loopback port, as the suite's is free
        redirect_uris: ['http://127.0.0.1/sign-in/oidc/callback'],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    pkce: { required: () => true },
    jwks: { keys: [key(kid)] },
    cookies: { keys: ['a key of the test alone'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified', 'groups'], profile: ['name'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...accounts[id] }) }),
  });
}

let current = provider('first').callback();
let keys = 1;
createServer((request, response) => {
  if (request.method === 'POST' && request.url === '/rotate') {
    keys += 1;
    current = provider(`key ${keys}`).callback();
    response.end();
    return;
  }
  if (request.method === 'POST' && request.url.startsWith('/groups/')) {
    const [, , account, ...groups] = request.url.split('/');
    accounts[account].groups = groups;
    response.end();
    return;
  }
  current(request, response);
}).listen(port, '127.0.0.1', () => console.log('ready'));
