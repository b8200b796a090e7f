import { useId, useState } from 'react';
import { keys } from '../api/endpoints';
import type { NewKey, Role } from '../api/types';
import { useT } from '../i18n';
import { Button } from '../ui/Button';
import { CopyButton } from '../ui/CopyButton';
import { Dialog, FormDialog } from '../ui/Dialog';
import { Field } from '../ui/parts';

export function CreateKey({ onClose, onCreated }: { onClose: () => void; onCreated: (key: NewKey) => void }) {
  const t = useT();
  const id = useId();
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('member');
  return (
    <FormDialog
      title={t('keys.create')}
      submit={t('keys.createButton')}
      disabled={name.trim() === ''}
      onClose={onClose}
      onSubmit={async () => onCreated(await keys.create(name.trim(), role))}
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
      <fieldset className="choices">
        <legend>{t('keys.role')}</legend>
        {(['member', 'admin'] as const).map((value) => (
          <label key={value} className="check">
            <input type="radio" name={id} value={value} checked={role === value} onChange={() => setRole(value)} />
            <span>{t(value === 'admin' ? 'keys.roleAdmin' : 'keys.roleMember')}</span>
          </label>
        ))}
      </fieldset>
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
