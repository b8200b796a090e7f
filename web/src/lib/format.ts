// Figures and dates for people, in their language.

import type { Lang } from './prefs';

const locale = (lang: Lang) => (lang === 'zh' ? 'zh-CN' : 'en');

/** Bytes in binary units, the way the suite's own messages count them. */
export function bytes(value: number, lang: Lang): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || size >= 100 ? 0 : 1;
  return `${number(size, lang, digits)} ${units[unit]}`;
}

export function number(value: number, lang: Lang, digits = 0): string {
  return value.toLocaleString(locale(lang), { maximumFractionDigits: digits });
}

/** Parameters of a model: 135M, 7B. */
export function parameters(value: number): string {
  if (value >= 1e9) return `${trim(value / 1e9)}B`;
  if (value >= 1e6) return `${trim(value / 1e6)}M`;
  return `${value}`;
}

function trim(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '');
}

export function dateTime(value: string | number | Date, lang: Lang): string {
  const date = toDate(value);
  return date ? date.toLocaleString(locale(lang), { dateStyle: 'medium', timeStyle: 'short' }) : '';
}

export function date(value: string | number | Date, lang: Lang): string {
  const day = toDate(value);
  return day ? day.toLocaleDateString(locale(lang), { dateStyle: 'medium' }) : '';
}

/** "3 minutes ago", "3分钟前". */
export function ago(value: string | number | Date, lang: Lang, now = Date.now()): string {
  const then = toDate(value);
  if (!then) return '';
  const seconds = Math.round((then.getTime() - now) / 1000);
  const format = new Intl.RelativeTimeFormat(locale(lang), { numeric: 'auto' });
  const size = Math.abs(seconds);
  if (size < 45) return format.format(0, 'second');
  if (size < 3600) return format.format(Math.round(seconds / 60), 'minute');
  if (size < 86_400) return format.format(Math.round(seconds / 3600), 'hour');
  if (size < 30 * 86_400) return format.format(Math.round(seconds / 86_400), 'day');
  return date(then, lang);
}

/** Times of the API are RFC 3339 texts or seconds since 1970. */
export function toDate(value: string | number | Date): Date | null {
  const made = typeof value === 'number' ? new Date(value < 1e11 ? value * 1000 : value) : new Date(value);
  return Number.isNaN(made.getTime()) ? null : made;
}
