// Projects, and for the host's owners organisations: both are names that are added and closed.

import { type ReactNode, useState } from 'react';
import { useLang, useT } from '../i18n';
import { date } from '../lib/format';
import { useResource } from '../lib/resource';
import { useMay } from '../lib/rights';
import { Button } from '../ui/Button';
import { FormDialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/errors';
import { Field, Loading, Page, Tag } from '../ui/parts';
import { type Invitation, type Organisation, organisations, type Project, projects } from './api';
import { ShowLink } from './MemberDialogs';
import { PeopleTabs } from './PeopleTabs';

interface Line {
  id: string;
  name: string;
  created_at: number;
  ended: boolean;
}

function Names<T extends Line>({
  caption,
  lines,
  state,
  actions,
}: {
  caption: string;
  lines: T[];
  state: (line: T) => ReactNode;
  actions: (line: T) => ReactNode;
}) {
  const t = useT();
  const lang = useLang();
  return (
    <div className="table-frame">
      <table className="table">
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">{t('keys.name')}</th>
            <th scope="col">{t('members.state')}</th>
            <th scope="col">{t('keys.createdAt')}</th>
            <th scope="col">
              <span className="visually-hidden">{t('keys.actions')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => (
            <tr key={line.id} className={line.ended ? 'revoked' : undefined}>
              <th scope="row" data-label={t('keys.name')}>
                {line.name}
              </th>
              <td data-label={t('members.state')}>{state(line)}</td>
              <td data-label={t('keys.createdAt')}>{date(line.created_at, lang)}</td>
              <td className="actions">{actions(line)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function ProjectsPage() {
  const t = useT();
  const may = useMay('keys');
  const list = useResource('projects', (signal) => projects.list(signal), 30_000);
  const [adding, setAdding] = useState(false);
  const [name, setName] = useState('');
  const [closing, setClosing] = useState<Project | null>(null);
  const lines = (list.data?.data ?? []).map((one) => ({ ...one, ended: Boolean(one.closed_at) }));
  return (
    <Page
      title={t('people.projects')}
      lead={t('projects.lead')}
      actions={
        may && (
          <Button look="primary" icon="plus" onClick={() => setAdding(true)}>
            {t('projects.add')}
          </Button>
        )
      }
    >
      <PeopleTabs current="projects" />
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!list.data && list.error === null && <Loading />}
      {list.data && lines.length === 0 && <p className="hint">{t('projects.none')}</p>}
      {lines.length > 0 && (
        <Names
          caption={t('people.projects')}
          lines={lines}
          state={(one) => (one.ended ? <Tag>{t('projects.closed')}</Tag> : <Tag look="good">{t('projects.open')}</Tag>)}
          actions={(one) =>
            may &&
            !one.ended && (
              <Button small onClick={() => setClosing(one)} aria-label={`${t('projects.close')}: ${one.name}`}>
                {t('projects.close')}
              </Button>
            )
          }
        />
      )}
      {adding && (
        <FormDialog
          title={t('projects.add')}
          submit={t('keys.createButton')}
          disabled={name.trim() === ''}
          onClose={() => setAdding(false)}
          onSubmit={async () => {
            await projects.create(name.trim());
            setAdding(false);
            setName('');
            await list.reload();
          }}
        >
          <Field
            label={t('keys.name')}
            value={name}
            maxLength={100}
            onChange={(event) => setName(event.target.value)}
            autoFocus
          />
        </FormDialog>
      )}
      {closing && (
        <FormDialog
          title={t('projects.closeTitle', { name: closing.name })}
          submit={t('projects.close')}
          danger
          onClose={() => setClosing(null)}
          onSubmit={async () => {
            await projects.close(closing.id);
            setClosing(null);
            await list.reload();
          }}
        >
          <p>{t('projects.closeText')}</p>
        </FormDialog>
      )}
    </Page>
  );
}

export function OrganisationsPage() {
  const t = useT();
  const list = useResource('organisations', (signal) => organisations.list(signal), 30_000);
  const [adding, setAdding] = useState(false);
  const [name, setName] = useState('');
  const [owner, setOwner] = useState('');
  const [link, setLink] = useState<{ name: string; invitation: Invitation } | null>(null);
  const [disabling, setDisabling] = useState<Organisation | null>(null);
  const lines = (list.data?.data ?? []).map((one) => ({ ...one, ended: Boolean(one.disabled_at) }));
  return (
    <Page
      title={t('people.organisations')}
      lead={t('organisations.lead')}
      actions={
        <Button look="primary" icon="plus" onClick={() => setAdding(true)}>
          {t('organisations.add')}
        </Button>
      }
    >
      <PeopleTabs current="organisations" />
      {list.error !== null && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
      {!list.data && list.error === null && <Loading />}
      {list.data && (
        <Names
          caption={t('people.organisations')}
          lines={lines}
          state={(one) =>
            one.host ? (
              <Tag look="accent">{t('organisations.host')}</Tag>
            ) : one.ended ? (
              <Tag look="bad">{t('members.disabled')}</Tag>
            ) : (
              <Tag look="good">{t('members.works')}</Tag>
            )
          }
          actions={(one) =>
            one.host ? null : one.ended ? (
              <Button
                small
                onClick={async () => {
                  await organisations.disable(one.id, false);
                  await list.reload();
                }}
              >
                {t('organisations.enable')}
              </Button>
            ) : (
              <Button small onClick={() => setDisabling(one)} aria-label={`${t('organisations.disable')}: ${one.name}`}>
                {t('organisations.disable')}
              </Button>
            )
          }
        />
      )}
      {adding && (
        <FormDialog
          title={t('organisations.add')}
          submit={t('keys.createButton')}
          disabled={name.trim() === '' || owner.trim() === ''}
          onClose={() => setAdding(false)}
          onSubmit={async () => {
            const made = await organisations.create(name.trim(), owner.trim());
            setAdding(false);
            setLink({ name: owner.trim(), invitation: made.invitation });
            setName('');
            setOwner('');
            await list.reload();
          }}
        >
          <Field
            label={t('keys.name')}
            value={name}
            maxLength={100}
            onChange={(event) => setName(event.target.value)}
            autoFocus
          />
          <Field
            label={t('organisations.owner')}
            hint={t('members.signInNameHint')}
            value={owner}
            maxLength={64}
            onChange={(event) => setOwner(event.target.value)}
          />
        </FormDialog>
      )}
      {link && <ShowLink name={link.name} invitation={link.invitation} onClose={() => setLink(null)} />}
      {disabling && (
        <FormDialog
          title={t('organisations.disableTitle', { name: disabling.name })}
          submit={t('organisations.disable')}
          danger
          onClose={() => setDisabling(null)}
          onSubmit={async () => {
            await organisations.disable(disabling.id, true);
            setDisabling(null);
            await list.reload();
          }}
        >
          <p>{t('organisations.disableText')}</p>
        </FormDialog>
      )}
    </Page>
  );
}
