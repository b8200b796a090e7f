// Tests of the console against a running suite: RIXIN_URL and RIXIN_KEY name it, and SmolLM2 (or RIXIN_MODEL) is installed.
// An argument chooses the tests whose name contains it.

import { assert, complaints, launch, runTests, test } from './harness.mjs';
import './specs/signin.mjs';
import './specs/chat.mjs';
import './specs/branches.mjs';
import './specs/history.mjs';
import './specs/faults.mjs';
import './specs/models.mjs';
import './specs/replicas.mjs';
import './specs/keys.mjs';
import './specs/reach.mjs';
import './specs/axe.mjs';

test('no page erred, broke the content policy, or asked another host', () => assert.deepEqual(complaints, []));

const browser = await launch();
const good = await runTests(browser, process.argv[2]);
await browser.close();
process.exit(good ? 0 : 1);
