// Language and theme: detected, switchable, remembered. public/boot.js reads the same keys before the first paint.

import { local } from './storage';
import { Store } from './store';

export type Lang = 'en' | 'zh';
export type Theme = 'system' | 'light' | 'dark';

/** The language of a browser that asked for none here. */
export function detectLang(languages: readonly string[]): Lang {
  for (const tag of languages) {
    const lower = tag.toLowerCase();
    if (lower.startsWith('zh')) return 'zh';
    if (lower.startsWith('en')) return 'en';
  }
  return 'en';
}

function savedLang(): Lang {
  const saved = local.get('rixin.lang');
  return saved === 'en' || saved === 'zh' ? saved : detectLang(navigator.languages ?? [navigator.language]);
}

function savedTheme(): Theme {
  const saved = local.get('rixin.theme');
  return saved === 'light' || saved === 'dark' ? saved : 'system';
}

export const lang = new Store<Lang>(savedLang());
export const theme = new Store<Theme>(savedTheme());

const systemDark = matchMedia('(prefers-color-scheme: dark)');

function apply(): void {
  const root = document.documentElement;
  const dark = theme.get() === 'dark' || (theme.get() === 'system' && systemDark.matches);
  root.dataset.theme = dark ? 'dark' : 'light';
  root.lang = lang.get() === 'zh' ? 'zh-CN' : 'en';
}

export function setLang(next: Lang): void {
  local.set('rixin.lang', next);
  lang.set(next);
}

export function setTheme(next: Theme): void {
  if (next === 'system') local.remove('rixin.theme');
  else local.set('rixin.theme', next);
  theme.set(next);
}

lang.subscribe(apply);
theme.subscribe(apply);
systemDark.addEventListener('change', apply);
apply();
