import { type FormEvent, useRef, useState } from 'react';
import { signIn, signOutReason } from '../api/client';
import { useT } from '../i18n';
import { useStore } from '../lib/store';
import { Button, IconButton } from '../ui/Button';
import { ErrorNote } from '../ui/errors';
import { Icon, Seal } from '../ui/Icon';
import { Field } from '../ui/parts';
import { LanguageMenu, ThemeMenu } from './PrefMenus';

export function SignIn() {
  const t = useT();
  const reason = useStore(signOutReason);
  const [key, setKey] = useState('');
  const [shown, setShown] = useState(false);
  const [remember, setRemember] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [empty, setEmpty] = useState(false);
  const form = useRef<HTMLFormElement>(null);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const trimmed = key.trim();
    setError(null);
    setEmpty(trimmed === '');
    if (trimmed === '') {
      form.current?.querySelector('input')?.focus();
      return;
    }
    setBusy(true);
    try {
      await signIn(trimmed, remember);
    } catch (caught) {
      setError(caught);
      setBusy(false);
      form.current?.querySelector('input')?.focus();
    }
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
        <form ref={form} onSubmit={(event) => void submit(event)} noValidate>
          <h2 className="visually-hidden">{t('signIn.title')}</h2>
          {reason && error === null && (
            <div className="note" role="status">
              <Icon name="info" />
              <div className="note-body">{t('signIn.ended', { reason })}</div>
            </div>
          )}
          <Field
            label={t('signIn.key')}
            hint={t('signIn.keyHint')}
            type={shown ? 'text' : 'password'}
            name="api-key"
            value={key}
            onChange={(event) => setKey(event.target.value)}
            autoComplete="current-password"
            autoCapitalize="off"
            spellCheck={false}
            aria-invalid={empty || error !== null || undefined}
            // The only thing to do on this page.
            autoFocus
            after={
              <IconButton
                icon="eye"
                label={t(shown ? 'signIn.hide' : 'signIn.show')}
                aria-pressed={shown}
                onClick={() => setShown(!shown)}
              />
            }
          />
          {empty && (
            <p className="field-error" role="alert">
              {t('signIn.empty')}
            </p>
          )}
          <label className="check">
            <input type="checkbox" checked={remember} onChange={(event) => setRemember(event.target.checked)} />
            <span>
              {t('signIn.remember')}
              <small>{t('signIn.rememberHint')}</small>
            </span>
          </label>
          {error !== null && <ErrorNote error={error} />}
          <Button type="submit" look="primary" busy={busy} className="block">
            {busy ? t('signIn.checking') : t('signIn.submit')}
          </Button>
        </form>
      </main>
    </div>
  );
}
