import { useState } from 'react';
import { session } from '../api/client';
import { keys } from '../api/endpoints';
import type { Key, NewKey } from '../api/types';
import { useLang, useT } from '../i18n';
import { ago, date, dateTime } from '../lib/format';
import { useResource } from '../lib/resource';
import { useStore } from '../lib/store';
import { Button } from '../ui/Button';
import { FormDialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Empty, Loading, Page, Tag } from '../ui/parts';
import { toast } from '../ui/toasts';
import { CreateKey, ShowKey } from './CreateKey';

export function KeysPage() {
  const t = useT();
  const signedIn = useStore(session);
  if (signedIn?.me.role !== 'admin') {
    return (
      <Page title={t('keys.title')} lead={t('keys.lead')}>
        <Empty icon="keys" title={t('app.adminOnly')}>
          <p>{t('app.adminOnlyText')}</p>
        </Empty>
      </Page>
    );
  }
  return <KeyList ownId={signedIn.me.key_id} />;
}

function KeyList({ ownId }: { ownId: string }) {
  const t = useT();
  const lang = useLang();
  const list = useResource('keys', (signal) => keys.list(signal), 30_000);
  const [creating, setCreating] = useState(false);
  const [made, setMade] = useState<NewKey | null>(null);
  const [revoking, setRevoking] = useState<Key | null>(null);
  const [withRevoked, setWithRevoked] = useState(false);
  const all = list.data?.data ?? [];
  const shown = all.filter((key) => withRevoked || !key.revoked_at);
  return (
    <Page
      title={t('keys.title')}
      lead={t('keys.lead')}
      actions={
        <Button look="primary" icon="plus" onClick={() => setCreating(true)}>
          {t('keys.create')}
        </Button>
      }
    >
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!list.data && list.error === null && <Loading />}
      {list.data && (
        <div className="table-frame">
          <table className="table">
            <caption className="visually-hidden">{t('keys.list')}</caption>
            <thead>
              <tr>
                <th scope="col">{t('keys.name')}</th>
                <th scope="col">{t('keys.role')}</th>
                <th scope="col">{t('keys.prefix')}</th>
                <th scope="col">{t('keys.createdAt')}</th>
                <th scope="col">{t('keys.lastUsed')}</th>
                <th scope="col">
                  <span className="visually-hidden">{t('keys.actions')}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((key) => (
                <tr key={key.id} className={key.revoked_at ? 'revoked' : undefined}>
                  <th scope="row" data-label={t('keys.name')}>
                    {key.name} {key.id === ownId && <Tag look="accent">{t('keys.current')}</Tag>}
                  </th>
                  <td data-label={t('keys.role')}>{t(key.role === 'admin' ? 'app.admin' : 'app.member')}</td>
                  <td data-label={t('keys.prefix')}>
                    <code>{key.prefix}…</code>
                  </td>
                  <td data-label={t('keys.createdAt')} title={dateTime(key.created_at, lang)}>
                    {date(key.created_at, lang)}
                  </td>
                  <td data-label={t('keys.lastUsed')}>{key.last_used ? ago(key.last_used, lang) : t('keys.never')}</td>
                  <td className="actions">
                    {key.revoked_at ? (
                      <Tag look="bad">{t('keys.revoked')}</Tag>
                    ) : (
                      key.id !== ownId && (
                        <Button small onClick={() => setRevoking(key)} aria-label={`${t('keys.revoke')}: ${key.name}`}>
                          {t('keys.revoke')}
                        </Button>
                      )
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {all.some((key) => key.revoked_at) && (
        <label className="check inline">
          <input type="checkbox" checked={withRevoked} onChange={(event) => setWithRevoked(event.target.checked)} />
          <span>{t('keys.showRevoked')}</span>
        </label>
      )}
      {creating && (
        <CreateKey
          onClose={() => setCreating(false)}
          onCreated={(key) => {
            setCreating(false);
            setMade(key);
            void list.reload();
          }}
        />
      )}
      {made && <ShowKey made={made} onClose={() => setMade(null)} />}
      {revoking && (
        <FormDialog
          title={t('keys.revokeTitle', { name: revoking.name })}
          submit={t('keys.revoke')}
          danger
          onClose={() => setRevoking(null)}
          onSubmit={async () => {
            await keys.revoke(revoking.id);
            setRevoking(null);
            toast(t('keys.revokedToast', { name: revoking.name }));
            await list.reload();
          }}
        >
          <p>{t('keys.revokeText')}</p>
        </FormDialog>
      )}
    </Page>
  );
}
