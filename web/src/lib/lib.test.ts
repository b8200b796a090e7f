import { describe, expect, it } from 'vitest';
import { ago, bytes, parameters, toDate } from './format';
import { detectLang } from './prefs';
import { href, parseRoute, routeAt } from './router';

describe('routes', () => {
  it('reads every page, and says of anything else that it is none', () => {
    expect(parseRoute('')).toEqual({ page: 'chat', id: null });
    expect(parseRoute('#/chat/a%2Fb')).toEqual({ page: 'chat', id: 'a/b' });
    expect(parseRoute('#/models/')).toEqual({ page: 'models', tab: 'catalog' });
    expect(parseRoute('#/models/installed')).toEqual({ page: 'models', tab: 'installed' });
    for (const hash of ['#/models/x', '#/keys/x', '#/chat/a/b', '#/nothing'])
      expect(parseRoute(hash).page).toBe('missing');
    expect(parseRoute('#/chat/%E0%A4%A').page).toBe('chat');
  });

  it('finds nothing at another path', () => {
    expect(routeAt('/', '').page).toBe('chat');
    expect(routeAt('/no/such', '').page).toBe('missing');
    expect(routeAt('/no/such', '#/keys').page).toBe('keys');
  });

  it('writes what it reads', () => {
    for (const route of [
      { page: 'chat', id: '会话/1' },
      { page: 'chat', id: null },
      { page: 'models', tab: 'installed' },
      { page: 'usage' },
    ] as const) {
      expect(parseRoute(href(route))).toEqual(route);
    }
  });
});

describe('languages', () => {
  it('takes the first that it has, else English', () => {
    expect(detectLang(['zh-TW', 'en'])).toBe('zh');
    expect(detectLang(['fr', 'zh-CN'])).toBe('zh');
    expect(detectLang(['en-GB', 'zh'])).toBe('en');
    expect(detectLang(['fr'])).toBe('en');
    expect(detectLang([])).toBe('en');
  });
});

describe('figures', () => {
  it('writes bytes and parameters', () => {
    expect(bytes(98_362_432, 'en')).toBe('93.8 MiB');
    expect(bytes(512, 'en')).toBe('512 B');
    expect(bytes(44 * 2 ** 30, 'zh')).toBe('44 GiB');
    expect(parameters(134_515_008)).toBe('135M');
    expect(parameters(4e9)).toBe('4B');
    expect(parameters(7_240_000_000)).toBe('7.2B');
  });

  it('takes times in milliseconds, seconds and as text', () => {
    const at = Date.UTC(2026, 0, 31);
    expect(toDate(at)?.getTime()).toBe(at);
    expect(toDate(at / 1000)?.getTime()).toBe(at);
    expect(toDate('2026-01-31')?.getTime()).toBe(at);
    expect(toDate('no time')).toBeNull();
  });

  it('says how long ago, and how soon', () => {
    const now = Date.UTC(2026, 0, 31);
    expect(ago(now - 180_000, 'en', now)).toBe('3 minutes ago');
    expect(ago(now - 7_200_000, 'zh', now)).toBe('2小时前');
    expect(ago(now + 600_000, 'en', now)).toBe('in 10 minutes');
  });
});
