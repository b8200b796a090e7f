import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import openapi, { astToString } from 'openapi-typescript';
import { expect, it } from 'vitest';

const here = import.meta.dirname;

// @vitest-environment node
it('has the types of the OpenAPI document: npm run api writes them anew', async () => {
  const document = JSON.parse(readFileSync(join(here, '../../../openapi.json'), 'utf8'));
  const made = astToString(await openapi(document, { emptyObjectsUnknown: true }));
  const written = readFileSync(join(here, 'schema.d.ts'), 'utf8').replace(/^\/\*\*[\s\S]*?\*\/\n\n?/, '');
  expect(written.trim()).toBe(made.trim());
});
