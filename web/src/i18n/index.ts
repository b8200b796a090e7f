// Texts of the console in the reader's language.

import { useMemo } from 'react';
import { type Lang, lang } from '../lib/prefs';
import { useStore } from '../lib/store';
import { en } from './en';
import { zh } from './zh';

export type TextKey = keyof typeof en;
export type Values = Record<string, string | number>;
export type Translate = (key: TextKey, values?: Values) => string;

const texts: Record<Lang, Record<TextKey, string>> = { en, zh };

/** The text of a key. `{name}` is filled in; `{n|one|many}` chooses by number, as English needs. */
export function translate(language: Lang, key: TextKey, values: Values = {}): string {
  return texts[language][key].replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one, many) => {
    const value = values[name];
    if (value === undefined) return whole;
    if (one === undefined)
      return typeof value === 'number' ? value.toLocaleString(language === 'zh' ? 'zh-CN' : 'en') : value;
    return Number(value) === 1 ? one : many;
  });
}

export function useT(): Translate {
  const language = useStore(lang);
  return useMemo(() => (key, values) => translate(language, key, values), [language]);
}

export function useLang(): Lang {
  return useStore(lang);
}

/** Languages in their own names. */
export const LANGUAGE_NAMES: Record<Lang, string> = { en: 'English', zh: '简体中文' };
