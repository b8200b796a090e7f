// The people of the organisation: invite, change, keep out, remove.

import { useState } from 'react';
import { useLang, useT } from '../i18n';
import { ago, date, dateTime } from '../lib/format';
import { useResource } from '../lib/resource';
import { useMay } from '../lib/rights';
import { Button } from '../ui/Button';
import { FormDialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Loading, Page, Tag } from '../ui/parts';
import { toast } from '../ui/toasts';
import { type Invitation, type Member, members } from './api';
import { AddMember, ChangeMember, ShowLink } from './MemberDialogs';
import { PeopleTabs } from './PeopleTabs';

export function MembersPage() {
  const t = useT();
  const lang = useLang();
  const may = useMay('members');
  const list = useResource('members', (signal) => members.list(signal), 30_000);
  const [adding, setAdding] = useState(false);
  const [link, setLink] = useState<{ name: string; invitation: Invitation } | null>(null);
  const [changing, setChanging] = useState<Member | null>(null);
  const [removing, setRemoving] = useState<Member | null>(null);
  const shown = list.data?.data ?? [];
  return (
    <Page
      title={t('members.title')}
      lead={t('members.lead')}
      actions={
        may && (
          <Button look="primary" icon="plus" onClick={() => setAdding(true)}>
            {t('members.add')}
          </Button>
        )
      }
    >
      <PeopleTabs current="members" />
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!list.data && list.error === null && <Loading />}
      {list.data && shown.length === 0 && <p className="hint">{t('members.none')}</p>}
      {shown.length > 0 && (
        <div className="table-frame">
          <table className="table">
            <caption className="visually-hidden">{t('members.title')}</caption>
            <thead>
              <tr>
                <th scope="col">{t('keys.name')}</th>
                <th scope="col">{t('keys.role')}</th>
                <th scope="col">{t('members.state')}</th>
                <th scope="col">{t('keys.createdAt')}</th>
                <th scope="col">{t('members.lastSeen')}</th>
                <th scope="col">
                  <span className="visually-hidden">{t('keys.actions')}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((member) => (
                <tr key={member.id}>
                  <th scope="row" data-label={t('keys.name')}>
                    {member.title ? `${member.title} (${member.name})` : member.name}
                  </th>
                  <td data-label={t('keys.role')}>{t(`role.${member.role}`)}</td>
                  <td data-label={t('members.state')}>
                    {member.disabled_at ? (
                      <Tag look="bad">{t('members.disabled')}</Tag>
                    ) : member.has_password || member.last_seen ? (
                      <Tag look="good">{t('members.works')}</Tag>
                    ) : (
                      <Tag look="warn">{t('members.invited')}</Tag>
                    )}
                  </td>
                  <td data-label={t('keys.createdAt')} title={dateTime(member.created_at, lang)}>
                    {date(member.created_at, lang)}
                  </td>
                  <td data-label={t('members.lastSeen')}>
                    {member.last_seen ? ago(member.last_seen, lang) : t('members.never')}
                  </td>
                  <td className="actions">
                    {may && (
                      <>
                        <Button
                          small
                          onClick={async () =>
                            setLink({ name: member.name, invitation: await members.invite(member.id) })
                          }
                          aria-label={`${t('members.link')}: ${member.name}`}
                        >
                          {t('members.link')}
                        </Button>
                        <Button
                          small
                          onClick={() => setChanging(member)}
                          aria-label={`${t('members.change')}: ${member.name}`}
                        >
                          {t('members.change')}
                        </Button>
                        <Button
                          small
                          onClick={() => setRemoving(member)}
                          aria-label={`${t('members.remove')}: ${member.name}`}
                        >
                          {t('members.remove')}
                        </Button>
                      </>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {adding && (
        <AddMember
          onClose={() => setAdding(false)}
          onAdded={(made) => {
            setAdding(false);
            setLink({ name: made.member.name, invitation: made.invitation });
            void list.reload();
          }}
        />
      )}
      {link && <ShowLink name={link.name} invitation={link.invitation} onClose={() => setLink(null)} />}
      {changing && (
        <ChangeMember
          member={changing}
          onClose={() => setChanging(null)}
          onChanged={() => {
            setChanging(null);
            void list.reload();
          }}
        />
      )}
      {removing && (
        <FormDialog
          title={t('members.removeTitle', { name: removing.name })}
          submit={t('members.remove')}
          danger
          onClose={() => setRemoving(null)}
          onSubmit={async () => {
            await members.remove(removing.id);
            setRemoving(null);
            toast(t('members.removedToast', { name: removing.name }));
            await list.reload();
          }}
        >
          <p>{t('members.removeText')}</p>
        </FormDialog>
      )}
    </Page>
  );
}
