// The frame of a signed-in console. On a narrow screen the side bar is a drawer.

import { useEffect, useRef, useState } from 'react';
import { ChatPage } from '../chat/ChatPage';
import { useT } from '../i18n';
import { KeysPage } from '../keys/KeysPage';
import { type Route, route } from '../lib/router';
import { useStore } from '../lib/store';
import { ModelsPage } from '../models/ModelsPage';
import { ReplicasPage } from '../replicas/ReplicasPage';
import { IconButton } from '../ui/Button';
import { Empty } from '../ui/parts';
import { UsagePage } from '../usage/UsagePage';
import { Guard } from './Guard';
import { Sidebar } from './Sidebar';

const NARROW = matchMedia('(max-width: 860px)');

function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const change = () => setNarrow(NARROW.matches);
    NARROW.addEventListener('change', change);
    return () => NARROW.removeEventListener('change', change);
  }, []);
  return narrow;
}

export function Shell() {
  const t = useT();
  const here = useStore(route);
  const narrow = useNarrow();
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const first = useRef(true);
  const place = here.page === 'chat' ? 'chat' : here.page === 'missing' ? here.path : here.page;

  // A new page is announced by its title, and the keyboard goes on from its start.
  // biome-ignore lint/correctness/useExhaustiveDependencies: moving to another page is the event
  useEffect(() => {
    setOpen(false);
    if (first.current) first.current = false;
    else main.current?.focus({ preventScroll: true });
  }, [place]);

  useEffect(() => {
    document.title = `${titleOf(here, t)} · ${t('app.name')}`;
  }, [here, t]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another conversation closes the drawer as well
  useEffect(() => setOpen(false), [here]);

  useEffect(() => {
    if (!open) return;
    const key = (event: KeyboardEvent) => {
      if (event.key === 'Escape') setOpen(false);
    };
    addEventListener('keydown', key);
    return () => {
      removeEventListener('keydown', key);
      // What was focused in the drawer is gone with it; the page took the focus already where it is a new one.
      if (!document.activeElement || document.activeElement === document.body) opener.current?.focus();
    };
  }, [open]);

  const hidden = narrow && !open;
  return (
    <div className="shell">
      {/* biome-ignore lint/a11y/useValidAnchor: the fragment holds the route, so the jump is made by hand */}
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        {t('app.skip')}
      </a>
      <Sidebar open={open} hidden={hidden} narrow={narrow} onClose={() => setOpen(false)} />
      {narrow && open && <div className="scrim" aria-hidden="true" onClick={() => setOpen(false)} />}
      <main ref={main} id="main" tabIndex={-1} className="main" inert={narrow && open}>
        {narrow && (
          <IconButton
            ref={opener}
            icon="menu"
            label={t('app.menu')}
            className="drawer-button"
            aria-expanded={open}
            onClick={() => setOpen(true)}
          />
        )}
        <Guard key={place}>
          <CurrentPage route={here} />
        </Guard>
      </main>
    </div>
  );
}

function titleOf(here: Route, t: ReturnType<typeof useT>): string {
  return here.page === 'missing' ? t('app.notFound') : t(`nav.${here.page}`);
}

function CurrentPage({ route: here }: { route: Route }) {
  switch (here.page) {
    case 'chat':
      return <ChatPage id={here.id} />;
    case 'models':
      return <ModelsPage tab={here.tab} />;
    case 'replicas':
      return <ReplicasPage />;
    case 'keys':
      return <KeysPage />;
    case 'usage':
      return <UsagePage />;
    case 'missing':
      return <Missing path={here.path} />;
  }
}

function Missing({ path }: { path: string }) {
  const t = useT();
  return (
    <div className="page">
      <h1 className="visually-hidden">404</h1>
      <Empty icon="search" title={t('app.notFound')}>
        <p>{t('app.notFoundText', { path })}</p>
        <a className="button primary" href="/#/chat">
          {t('app.backToChat')}
        </a>
      </Empty>
    </div>
  );
}
