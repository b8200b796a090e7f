// Words of the API that people read.

import type { TextKey, Translate } from '../i18n';
import { lang } from '../lib/prefs';

const KINDS = new Set(['chat', 'embedding', 'image', 'lora', 'speech', 'other']);
const ORIGINS = new Set(['own', 'imported', 'trained']);

export function kindLabel(t: Translate, kind: string): string {
  return KINDS.has(kind) ? t(`models.kind.${kind}` as TextKey) : kind;
}

export function originLabel(t: Translate, origin: string): string {
  return ORIGINS.has(origin) ? t(`models.origin.${origin}` as TextKey) : origin;
}

/** A language tag in the reader's words. */
export function languageLabel(t: Translate, tag: string): string {
  if (tag === 'zh') return t('models.lang.zh');
  if (tag === 'en') return t('models.lang.en');
  if (tag === 'multilingual' || tag === 'mul') return t('models.lang.multi');
  try {
    return new Intl.DisplayNames([lang.get() === 'zh' ? 'zh-CN' : 'en'], { type: 'language' }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}
