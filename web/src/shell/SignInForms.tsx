// The three forms of the sign-in page.

import { type FormEvent, type ReactNode, useRef, useState } from 'react';
import { acceptInvitation, signIn, signInByPassword } from '../api/client';
import { useT } from '../i18n';
import { go } from '../lib/router';
import { Button, IconButton } from '../ui/Button';
import { ErrorNote } from '../ui/errors';
import { Field } from '../ui/parts';

/** A form that does one thing, says why it could not, and gives the first empty field the focus. */
function Form({
  empty,
  submit,
  onSubmit,
  children,
}: {
  /** What is said while something is missing; null when nothing is. */
  empty: string | null;
  submit: string;
  onSubmit: () => Promise<void>;
  children: ReactNode;
}) {
  const t = useT();
  const [busy, setBusy] = useState(false);
  const [missing, setMissing] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const form = useRef<HTMLFormElement>(null);
  const send = async (event: FormEvent) => {
    event.preventDefault();
    setError(null);
    setMissing(empty !== null);
    if (empty !== null) {
      const fields = [...(form.current?.querySelectorAll<HTMLInputElement>('input[required]') ?? [])];
      fields.find((field) => field.value.trim() === '')?.focus();
      return;
    }
    setBusy(true);
    try {
      await onSubmit();
    } catch (caught) {
      setError(caught);
      setBusy(false);
      form.current?.querySelector('input')?.focus();
    }
  };
  return (
    <form ref={form} onSubmit={(event) => void send(event)} noValidate>
      <h2 className="visually-hidden">{t('signIn.title')}</h2>
      {children}
      {missing && empty !== null && (
        <p className="field-error" role="alert">
          {empty}
        </p>
      )}
      {error !== null && <ErrorNote error={error} />}
      <Button type="submit" look="primary" busy={busy} className="block">
        {busy ? t('signIn.checking') : submit}
      </Button>
    </form>
  );
}

/** A field whose text is shown by choice. */
function SecretField({
  label,
  hint,
  name,
  value,
  complete,
  focus = false,
  onChange,
}: {
  label: string;
  hint?: string;
  name: string;
  value: string;
  complete: 'current-password' | 'new-password';
  focus?: boolean;
  onChange: (value: string) => void;
}) {
  const t = useT();
  const [shown, setShown] = useState(false);
  return (
    <Field
      label={label}
      hint={hint}
      type={shown ? 'text' : 'password'}
      name={name}
      value={value}
      required
      onChange={(event) => onChange(event.target.value)}
      autoComplete={complete}
      autoCapitalize="off"
      spellCheck={false}
      autoFocus={focus}
      after={
        <IconButton
          icon="eye"
          label={t(shown ? 'signIn.hide' : 'signIn.show')}
          aria-pressed={shown}
          onClick={() => setShown(!shown)}
        />
      }
    />
  );
}

export function KeyForm() {
  const t = useT();
  const [key, setKey] = useState('');
  const [remember, setRemember] = useState(false);
  return (
    <Form
      empty={key.trim() === '' ? t('signIn.empty') : null}
      submit={t('signIn.submit')}
      onSubmit={() => signIn(key.trim(), remember)}
    >
      <SecretField
        label={t('signIn.key')}
        hint={t('signIn.keyHint')}
        name="api-key"
        value={key}
        complete="current-password"
        focus
        onChange={setKey}
      />
      <label className="check">
        <input type="checkbox" checked={remember} onChange={(event) => setRemember(event.target.checked)} />
        <span>
          {t('signIn.remember')}
          <small>{t('signIn.rememberHint')}</small>
        </span>
      </label>
    </Form>
  );
}

export function PasswordForm() {
  const t = useT();
  const [organisation, setOrganisation] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  return (
    <Form
      empty={name.trim() === '' || password === '' ? t('signIn.emptyPassword') : null}
      submit={t('signIn.submit')}
      onSubmit={() => signInByPassword(organisation.trim(), name.trim(), password)}
    >
      <Field
        label={t('signIn.name')}
        name="username"
        value={name}
        required
        onChange={(event) => setName(event.target.value)}
        autoComplete="username"
        autoCapitalize="off"
        spellCheck={false}
        autoFocus
      />
      <SecretField
        label={t('signIn.password')}
        name="password"
        value={password}
        complete="current-password"
        onChange={setPassword}
      />
      <Field
        label={t('signIn.organisation')}
        hint={t('signIn.organisationHint')}
        name="organisation"
        value={organisation}
        onChange={(event) => setOrganisation(event.target.value)}
        autoComplete="organization"
        spellCheck={false}
      />
    </Form>
  );
}

/** Whoever has a one-time link sets a password, and is signed in. */
export function InvitationForm({ token }: { token: string }) {
  const t = useT();
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const empty = password === '' ? t('signIn.emptyNew') : password !== again ? t('signIn.differ') : null;
  return (
    <Form
      empty={empty}
      submit={t('signIn.setPassword')}
      onSubmit={async () => {
        await acceptInvitation(token, password);
        // The link is used: it leaves the address and the history.
        go({ page: 'chat', id: null }, true);
      }}
    >
      <p>{t('signIn.invited')}</p>
      <SecretField
        label={t('sessions.newPassword')}
        hint={t('signIn.passwordHint')}
        name="password"
        value={password}
        complete="new-password"
        focus
        onChange={setPassword}
      />
      <SecretField label={t('signIn.again')} name="again" value={again} complete="new-password" onChange={setAgain} />
    </Form>
  );
}
