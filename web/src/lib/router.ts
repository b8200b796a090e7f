// Routes live in the fragment, so that no rule of the server is needed for them. Any other path is no page of the console.

import { Store } from './store';

export type Route =
  | { page: 'chat'; id: string | null }
  | { page: 'models'; tab: 'catalog' | 'installed' }
  | { page: 'replicas' }
  | { page: 'keys' }
  | { page: 'usage' }
  | { page: 'missing'; path: string };

export function parseRoute(hash: string): Route {
  const path = hash.replace(/^#/, '').replace(/\/+$/, '') || '/chat';
  const [, page, rest, ...more] = path.split('/');
  if (more.length === 0) {
    if (page === 'chat') return { page, id: rest ? decode(rest) : null };
    if (page === 'models' && (!rest || rest === 'installed')) return { page, tab: rest ? 'installed' : 'catalog' };
    if ((page === 'replicas' || page === 'keys' || page === 'usage') && !rest) return { page };
  }
  return { page: 'missing', path };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function href(route: Exclude<Route, { page: 'missing' }>): string {
  switch (route.page) {
    case 'chat':
      return route.id ? `#/chat/${encodeURIComponent(route.id)}` : '#/chat';
    case 'models':
      return route.tab === 'installed' ? '#/models/installed' : '#/models';
    default:
      return `#/${route.page}`;
  }
}

/** The route of an address: its fragment, unless its path is one that nothing lies at. */
export function routeAt(path: string, hash: string): Route {
  if (hash === '' && path !== '/' && path !== '/index.html') return { page: 'missing', path };
  return parseRoute(hash);
}

export const route = new Store<Route>(routeAt(location.pathname, location.hash));

addEventListener('hashchange', () => route.set(parseRoute(location.hash)));

export function go(target: Exclude<Route, { page: 'missing' }>, replace = false): void {
  const url = href(target);
  if (location.hash === url) return;
  if (replace) history.replaceState(null, '', url);
  else history.pushState(null, '', url);
  route.set(parseRoute(url));
}
