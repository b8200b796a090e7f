// Signed pictures under @trustnxt/c2pa-ts, which shares no code with the library that signs.
import { readFile } from 'node:fs/promises';
import { JPEG, PNG } from '@trustnxt/c2pa-ts/asset';
import { SuperBox } from '@trustnxt/c2pa-ts/jumbf';
import { ManifestStore } from '@trustnxt/c2pa-ts/manifest';

async function validate(bytes) {
  const asset = PNG.canRead(bytes) ? new PNG(bytes) : new JPEG(bytes);
  const jumbf = asset.getManifestJUMBF();
  if (!jumbf) throw new Error('no credentials');
  const store = ManifestStore.read(SuperBox.fromBuffer(jumbf));
  return store.validate(asset);
}

let passed = 0;
for (const name of process.argv.slice(2)) {
  const bytes = await readFile(name);
  const result = await validate(bytes);
  const bad = result.statusEntries.filter((e) => !e.success && e.code !== 'signingCredential.untrusted');
  if (bad.length) throw new Error(`${name}: ${JSON.stringify(bad)}`);
  const codes = new Set(result.statusEntries.filter((e) => e.success).map((e) => e.code));
  for (const code of ['claimSignature.validated', 'assertion.dataHash.match', 'assertion.hashedURI.match']) {
    if (!codes.has(code)) throw new Error(`${name}: ${code} is missing: ${[...codes]}`);
  }
  const broken = Buffer.from(bytes);
  broken[broken.length - 30] ^= 1;
  const found = await validate(broken).then((r) => !r.isValid, () => true);
  if (!found) throw new Error(`${name}: a changed byte was not found`);
  console.log('ok  ', name.split('/').pop());
  passed += 1;
}
console.log(`${passed} passed, 0 failed`);
