import { useEffect, useRef } from 'react';
import { session, signOut } from '../api/client';
import { ConversationList } from '../chat/ConversationList';
import { useT } from '../i18n';
import { base } from '../lib/connection';
import { type Route, route } from '../lib/router';
import { useStore } from '../lib/store';
import { runningPulls } from '../models/pulls';
import { IconButton } from '../ui/Button';
import { Icon, type IconName, Seal } from '../ui/Icon';
import { Menu } from '../ui/Menu';
import { LanguageMenu, ThemeMenu } from './PrefMenus';

interface Props {
  open: boolean;
  hidden: boolean;
  narrow: boolean;
  onClose: () => void;
}

const PLACES: { page: Exclude<Route['page'], 'missing' | 'chat'>; icon: IconName; admin?: boolean }[] = [
  { page: 'models', icon: 'models' },
  { page: 'replicas', icon: 'replicas' },
  { page: 'keys', icon: 'keys', admin: true },
  { page: 'usage', icon: 'usage' },
];

export function Sidebar({ open, hidden, narrow, onClose }: Props) {
  const t = useT();
  const here = useStore(route);
  const signedIn = useStore(session);
  const pulling = useStore(runningPulls);
  const panel = useRef<HTMLElement>(null);
  const me = signedIn?.me;

  useEffect(() => {
    if (open) panel.current?.querySelector<HTMLElement>('button, a')?.focus();
  }, [open]);

  // A link closes the drawer, even one to where the reader is already.
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const clicked = (event: Event) => {
      if (event.target instanceof Element && event.target.closest('a')) close.current();
    };
    const aside = panel.current;
    aside?.addEventListener('click', clicked);
    return () => aside?.removeEventListener('click', clicked);
  }, []);

  return (
    <aside ref={panel} className={`sidebar${open ? ' open' : ''}`} inert={hidden} aria-label={t('app.nav')}>
      <div className="sidebar-head">
        <a href="#/chat" className="brand">
          <Seal size={30} />
          <span>Rixin</span> <span lang="zh-CN">日新</span>
        </a>
        {narrow && <IconButton icon="close" label={t('app.closeMenu')} onClick={onClose} />}
      </div>
      <a className="new-chat" href="#/chat">
        <Icon name="plus" size={18} /> {t('chat.new')}
      </a>
      <nav aria-label={t('app.nav')} className="places">
        {PLACES.filter((place) => !place.admin || me?.role === 'admin').map(({ page, icon }) => (
          <a key={page} href={`#/${page}`} aria-current={here.page === page ? 'page' : undefined}>
            <Icon name={icon} />
            <span>{t(`nav.${page}`)}</span>
            {page === 'models' && pulling > 0 && <span className="badge">{pulling}</span>}
          </a>
        ))}
      </nav>
      <ConversationList current={here.page === 'chat' ? here.id : null} />
      <footer className="sidebar-foot">
        <Menu
          label={t('app.account')}
          named
          className="account"
          items={[
            {
              label: t('app.docs'),
              icon: 'book',
              onSelect: () => void window.open(new URL('docs', base), '_blank', 'noopener'),
            },
            { label: t('app.signOut'), icon: 'out', onSelect: () => signOut() },
          ]}
        >
          <span className="visually-hidden">{t('app.account')}</span>
          <span className="avatar" aria-hidden="true">
            {[...(me?.name ?? '?')][0]?.toUpperCase()}
          </span>
          <span className="account-name">
            {me?.name}
            <small>{t(me?.role === 'admin' ? 'app.admin' : 'app.member')}</small>
          </span>
        </Menu>
        <LanguageMenu />
        <ThemeMenu />
      </footer>
    </aside>
  );
}
