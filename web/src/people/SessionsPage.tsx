// Where the member is signed in, and their password.

import { useState } from 'react';
import { useLang, useT } from '../i18n';
import { ago, dateTime } from '../lib/format';
import { useResource } from '../lib/resource';
import { Button } from '../ui/Button';
import { FormDialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Field, Loading, Page, Tag } from '../ui/parts';
import { toast } from '../ui/toasts';
import { sessions } from './api';
import { PeopleTabs } from './PeopleTabs';

export function SessionsPage() {
  const t = useT();
  const lang = useLang();
  const list = useResource('sessions', (signal) => sessions.list(signal), 30_000);
  const [changing, setChanging] = useState(false);
  return (
    <Page
      title={t('sessions.title')}
      lead={t('sessions.lead')}
      actions={<Button onClick={() => setChanging(true)}>{t('sessions.password')}</Button>}
    >
      <PeopleTabs current="sessions" />
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!list.data && list.error === null && <Loading />}
      {list.data && (
        <div className="table-frame">
          <table className="table">
            <caption className="visually-hidden">{t('sessions.title')}</caption>
            <thead>
              <tr>
                <th scope="col">{t('sessions.browser')}</th>
                <th scope="col">{t('sessions.address')}</th>
                <th scope="col">{t('sessions.method')}</th>
                <th scope="col">{t('sessions.began')}</th>
                <th scope="col">{t('keys.lastUsed')}</th>
                <th scope="col">
                  <span className="visually-hidden">{t('keys.actions')}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.data.data.map((one) => (
                <tr key={one.id}>
                  <th scope="row" data-label={t('sessions.browser')}>
                    {one.agent || '?'} {one.current && <Tag look="accent">{t('keys.current')}</Tag>}
                  </th>
                  <td data-label={t('sessions.address')}>{one.address}</td>
                  <td data-label={t('sessions.method')}>
                    {one.method === 'oidc' || one.method === 'link'
                      ? t(`sessions.method.${one.method}`)
                      : t('sessions.method.password')}
                  </td>
                  <td data-label={t('sessions.began')}>{dateTime(one.created_at, lang)}</td>
                  <td data-label={t('keys.lastUsed')}>{ago(one.seen_at, lang)}</td>
                  <td className="actions">
                    {!one.current && (
                      <Button
                        small
                        onClick={async () => {
                          await sessions.end(one.id);
                          await list.reload();
                        }}
                      >
                        {t('sessions.end')}
                      </Button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {changing && <ChangePassword onClose={() => setChanging(false)} onChanged={() => void list.reload()} />}
    </Page>
  );
}

function ChangePassword({ onClose, onChanged }: { onClose: () => void; onChanged: () => void }) {
  const t = useT();
  const [old, setOld] = useState('');
  const [fresh, setFresh] = useState('');
  return (
    <FormDialog
      title={t('sessions.password')}
      submit={t('app.save')}
      disabled={old === '' || fresh === ''}
      onClose={onClose}
      onSubmit={async () => {
        await sessions.changePassword(old, fresh);
        onClose();
        toast(t('sessions.passwordToast'));
        onChanged();
      }}
    >
      <Field
        label={t('sessions.oldPassword')}
        type="password"
        value={old}
        onChange={(event) => setOld(event.target.value)}
        autoComplete="current-password"
        autoFocus
      />
      <Field
        label={t('sessions.newPassword')}
        hint={t('signIn.passwordHint')}
        type="password"
        value={fresh}
        onChange={(event) => setFresh(event.target.value)}
        autoComplete="new-password"
      />
    </FormDialog>
  );
}
