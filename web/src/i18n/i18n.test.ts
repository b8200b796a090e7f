import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { en } from './en';
import { translate } from './index';
import { zh } from './zh';

const fields = (text: string) => [...text.matchAll(/\{(\w+)/g)].map((match) => match[1]).sort();
const keys = Object.keys(en) as (keyof typeof en)[];

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.tsx?$/.test(entry.name) && !entry.name.includes('.test.') ? [path] : [];
  });
}

describe('texts', () => {
  it('has the same keys in both languages, none empty', () => {
    expect(Object.keys(zh).sort()).toEqual([...keys].sort());
    for (const key of keys) {
      expect(en[key].trim(), key).not.toBe('');
      expect(zh[key].trim(), key).not.toBe('');
    }
  });

  it('fills the same fields in both languages', () => {
    for (const key of keys) expect([...new Set(fields(zh[key]))], key).toEqual([...new Set(fields(en[key]))]);
  });

  it('uses every text, and no text that is not there', () => {
    const code = sources(join(import.meta.dirname, '..'))
      .filter((path) => !/i18n\/(en|zh)\.ts$/.test(path))
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n');
    // Keys that are put together at run time, such as `param.${name}`.
    const families = [...code.matchAll(/`(\w+(?:\.\w+)*\.)\$\{/g)].map((match) => match[1] ?? '');
    const unused = keys.filter(
      (key) => !code.includes(`'${key}'`) && !families.some((family) => key.startsWith(family)),
    );
    expect(unused).toEqual([]);
  });

  it('fills in values, groups digits and chooses the plural', () => {
    expect(translate('en', 'models.count', { n: 1 })).toBe('1 model');
    expect(translate('en', 'models.count', { n: 1234 })).toBe('1,234 models');
    expect(translate('zh', 'models.count', { n: 3 })).toBe('3 个模型');
    expect(translate('en', 'keys.created', {})).toBe('Key for {name}');
  });
});
