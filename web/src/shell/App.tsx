// The whole console: sign in, then the side bar and one page beside it.

import { useEffect, useState } from 'react';
import { rememberedKey, session, signIn, signOut, signOutReason, Unreachable } from '../api/client';
import { forgetAll } from '../chat/session';
import { useT } from '../i18n';
import { connection } from '../lib/connection';
import { useStore } from '../lib/store';
import { stopFollowing } from '../models/pulls';
import { Toasts } from '../ui/Toasts';
import { Guard } from './Guard';
import { OfflineBanner } from './OfflineBanner';
import { Shell } from './Shell';
import { SignIn } from './SignIn';

export function App() {
  const signedIn = useStore(session);
  const [restoring, setRestoring] = useState(() => rememberedKey() !== null);
  const { epoch } = useStore(connection);
  const t = useT();

  // biome-ignore lint/correctness/useExhaustiveDependencies: a suite that came back is asked again
  useEffect(() => {
    const key = rememberedKey();
    if (session.get() || key === null) return;
    signIn(key, null)
      .then(() => setRestoring(false))
      .catch((error: unknown) => {
        // A suite that is down says nothing about the key: it is kept until the suite is back.
        if (error instanceof Unreachable) return;
        signOut(error instanceof Error ? error.message : null);
        setRestoring(false);
      });
  }, [epoch]);

  useEffect(() => {
    if (signedIn) return;
    forgetAll();
    stopFollowing();
  }, [signedIn]);

  return (
    <Guard>
      <OfflineBanner />
      {signedIn ? (
        <Shell key={signedIn.me.key_id} />
      ) : restoring && signOutReason.get() === null ? (
        <main className="restoring">
          <h1 className="visually-hidden">{t('app.name')}</h1>
          <span className="spinner" aria-hidden="true" />
          <p role="status">{t('app.loading')}</p>
        </main>
      ) : (
        <SignIn />
      )}
      <Toasts />
    </Guard>
  );
}
