// The sign-in page: a member's name and password, the organisation's identity provider, or an API key; and the page of a one-time link.

import { type ReactNode, useEffect, useState } from 'react';
import { signInWays, signOutReason } from '../api/client';
import { type TextKey, useT } from '../i18n';
import { base } from '../lib/connection';
import { route, signInWord } from '../lib/router';
import { local } from '../lib/storage';
import { useStore } from '../lib/store';
import { Icon, Seal } from '../ui/Icon';
import { LanguageMenu, ThemeMenu } from './PrefMenus';
import { InvitationForm, KeyForm, PasswordForm } from './SignInForms';

const WAY = 'rixin.signin';
type Way = 'key' | 'password';

/** The words that a sign-in at the identity provider can end with. */
const ENDS: Record<string, TextKey> = {
  forbidden: 'signIn.end.forbidden',
  wrong_credentials: 'signIn.end.wrong_credentials',
  identity_provider_failed: 'signIn.end.identity_provider_failed',
  rate_limited: 'signIn.end.rate_limited',
};

export function SignIn() {
  const t = useT();
  // A link that is opened in this tab changes the fragment alone.
  useStore(route);
  const reason = useStore(signOutReason);
  const [way, setWay] = useState<Way>(() => (local.get(WAY) === 'password' ? 'password' : 'key'));
  const [provider, setProvider] = useState<string | null>(null);
  const invitation = signInWord(location.hash, 'invitation');
  const end = signInWord(location.hash, 'sign-in');

  useEffect(() => {
    const controller = new AbortController();
    // An extra: without it the other ways are there.
    signInWays(controller.signal)
      .then((ways) => setProvider(ways.oidc ?? null))
      .catch(() => undefined);
    return () => controller.abort();
  }, []);

  const choose = (next: Way) => {
    local.set(WAY, next);
    setWay(next);
  };

  return (
    <div className="signin">
      <header className="signin-bar">
        <LanguageMenu />
        <ThemeMenu />
      </header>
      <main className="signin-card">
        <div className="signin-brand">
          <Seal size={52} />
          <h1>
            Rixin <span lang="zh-CN">日新</span>
          </h1>
          <p>{t('signIn.lead')}</p>
        </div>
        {invitation ? (
          <InvitationForm token={invitation} />
        ) : (
          <>
            {reason && <Note>{t('signIn.ended', { reason })}</Note>}
            {end && <Note>{t(ENDS[end] ?? 'signIn.end.other')}</Note>}
            {way === 'key' ? <KeyForm /> : <PasswordForm />}
            <div className="signin-ways">
              {provider !== null && (
                <a className="button block" href={new URL('sign-in/oidc', base).href}>
                  {t('signIn.provider', { name: provider })}
                </a>
              )}
              <button
                type="button"
                className="button quiet block"
                onClick={() => choose(way === 'key' ? 'password' : 'key')}
              >
                {t(way === 'key' ? 'signIn.usePassword' : 'signIn.useKey')}
              </button>
            </div>
          </>
        )}
      </main>
    </div>
  );
}

function Note({ children }: { children: ReactNode }) {
  return (
    <div className="note" role="status">
      <Icon name="info" />
      <div className="note-body">{children}</div>
    </div>
  );
}
