import { useState } from 'react';
import { session } from '../api/client';
import { models } from '../api/endpoints';
import type { NewKey, Role } from '../api/types';
import { useT } from '../i18n';
import { useResource } from '../lib/resource';
import { useMay } from '../lib/rights';
import { useStore } from '../lib/store';
import { projects, scopedKeys } from '../people/api';
import { RoleChoice } from '../people/MemberDialogs';
import { Button } from '../ui/Button';
import { CopyButton } from '../ui/CopyButton';
import { Dialog, FormDialog } from '../ui/Dialog';
import { Field, Select } from '../ui/parts';

const list = (text: string) => text.split(/[\s,，、;]+/).filter((word) => word !== '');

export function CreateKey({ onClose, onCreated }: { onClose: () => void; onCreated: (key: NewKey) => void }) {
  const t = useT();
  const people = useMay('people');
  const all = useMay('keys');
  const rights = useStore(session)?.me.rights ?? [];
  const open = useResource(`open projects ${people}`, async (signal) =>
    people ? (await projects.list(signal)).data : [],
  );
  const served = useResource('models for a key', async (signal) => (await models.served(signal)).data);
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('member');
  const [project, setProject] = useState('');
  const [scopes, setScopes] = useState('');
  const [modelNames, setModelNames] = useState('');
  const [networks, setNetworks] = useState('');
  const [expires, setExpires] = useState('');
  const choices = (open.data ?? []).filter((one) => !one.closed_at).map((one) => ({ value: one.id, label: one.name }));
  const orNone = (text: string) => (list(text).length > 0 ? list(text) : undefined);
  return (
    <FormDialog
      title={t('keys.create')}
      submit={t('keys.createButton')}
      disabled={name.trim() === ''}
      onClose={onClose}
      onSubmit={async () =>
        onCreated(
          await scopedKeys.create({
            name: name.trim(),
            role,
            project_id: project || undefined,
            scopes: orNone(scopes),
            models: orNone(modelNames),
            networks: orNone(networks),
            // To the end of that day, where the reader is.
            expires_at: expires === '' ? undefined : new Date(`${expires}T23:59:59`).getTime(),
          }),
        )
      }
    >
      <Field
        label={t('keys.name')}
        hint={t('keys.nameHint')}
        value={name}
        maxLength={100}
        onChange={(event) => setName(event.target.value)}
        autoComplete="off"
        autoFocus
      />
      {all && <RoleChoice value={role} onChange={setRole} />}
      {all && choices.length > 0 && (
        <Select
          label={t('keys.project')}
          value={project}
          choices={[{ value: '', label: t('keys.noProject') }, ...choices]}
          onChange={setProject}
        />
      )}
      <details>
        <summary>{t('keys.narrow')}</summary>
        <Field
          label={t('keys.scopes')}
          hint={t('keys.scopesHint', { rights: rights.join(', ') })}
          value={scopes}
          onChange={(event) => setScopes(event.target.value)}
          autoComplete="off"
          spellCheck={false}
        />
        <Field
          label={t('keys.models')}
          hint={t('keys.modelsHint', { models: (served.data ?? []).map((one) => one.id).join(', ') || '…' })}
          value={modelNames}
          onChange={(event) => setModelNames(event.target.value)}
          autoComplete="off"
          spellCheck={false}
        />
        <Field
          label={t('keys.networks')}
          hint={t('keys.networksHint')}
          value={networks}
          onChange={(event) => setNetworks(event.target.value)}
          autoComplete="off"
          spellCheck={false}
        />
        <Field
          label={t('keys.expires')}
          type="date"
          value={expires}
          onChange={(event) => setExpires(event.target.value)}
        />
      </details>
    </FormDialog>
  );
}

/** The only moment at which a key can be read: the dialog stays until its reader says so. */
export function ShowKey({ made, onClose }: { made: NewKey; onClose: () => void }) {
  const t = useT();
  return (
    <Dialog title={t('keys.created', { name: made.name })} onClose={onClose} firm>
      <div className="dialog-body">
        <p>{t('keys.createdText')}</p>
        <div className="secret">
          <code>{made.key}</code>
          <CopyButton text={made.key} label={t('keys.copy')} withText />
        </div>
      </div>
      <footer>
        <Button look="primary" onClick={onClose}>
          {t('keys.doneButton')}
        </Button>
      </footer>
    </Dialog>
  );
}
