import { useId, useState } from 'react';
import type { Role } from '../api/types';
import { useLang, useT } from '../i18n';
import { base } from '../lib/connection';
import { dateTime } from '../lib/format';
import { Button } from '../ui/Button';
import { CopyButton } from '../ui/CopyButton';
import { Dialog, FormDialog } from '../ui/Dialog';
import { Field } from '../ui/parts';
import { type Invitation, type Member, members } from './api';

const ROLES = ['member', 'operator', 'auditor', 'owner'] as const;

/** The four roles, with what each means. */
export function RoleChoice({ value, onChange }: { value: Role; onChange: (role: Role) => void }) {
  const t = useT();
  const id = useId();
  return (
    <fieldset className="choices">
      <legend>{t('keys.role')}</legend>
      {ROLES.map((role) => (
        <label key={role} className="check">
          <input type="radio" name={id} value={role} checked={value === role} onChange={() => onChange(role)} />
          <span>{`${t(`role.${role}`)}${t('app.colon')}${t(`role.${role}.about`)}`}</span>
        </label>
      ))}
    </fieldset>
  );
}

export function AddMember({
  onClose,
  onAdded,
}: {
  onClose: () => void;
  onAdded: (made: { member: Member; invitation: Invitation }) => void;
}) {
  const t = useT();
  const [name, setName] = useState('');
  const [title, setTitle] = useState('');
  const [role, setRole] = useState<Role>('member');
  return (
    <FormDialog
      title={t('members.add')}
      submit={t('members.addButton')}
      disabled={name.trim() === ''}
      onClose={onClose}
      onSubmit={async () => onAdded(await members.add({ name: name.trim(), title: title.trim(), role }))}
    >
      <Field
        label={t('members.signInName')}
        hint={t('members.signInNameHint')}
        value={name}
        maxLength={64}
        onChange={(event) => setName(event.target.value)}
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        autoFocus
      />
      <Field
        label={t('members.displayName')}
        value={title}
        maxLength={100}
        onChange={(event) => setTitle(event.target.value)}
        autoComplete="off"
      />
      <RoleChoice value={role} onChange={setRole} />
    </FormDialog>
  );
}

/** The only moment at which the link can be read: the dialog stays until its reader says so. */
export function ShowLink({ name, invitation, onClose }: { name: string; invitation: Invitation; onClose: () => void }) {
  const t = useT();
  const lang = useLang();
  const url = new URL(`#/invitation/${invitation.token}`, base).href;
  return (
    <Dialog title={t('members.linkTitle', { name })} onClose={onClose} firm>
      <div className="dialog-body">
        <p>{t('members.linkText', { time: dateTime(invitation.expires_at, lang) })}</p>
        <div className="secret">
          <code>{url}</code>
          <CopyButton text={url} label={t('members.copyLink')} withText />
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

export function ChangeMember({
  member,
  onClose,
  onChanged,
}: {
  member: Member;
  onClose: () => void;
  onChanged: () => void;
}) {
  const t = useT();
  const [title, setTitle] = useState(member.title);
  const [role, setRole] = useState<Role>(member.role);
  const [disabled, setDisabled] = useState(Boolean(member.disabled_at));
  return (
    <FormDialog
      title={t('members.changeTitle', { name: member.name })}
      submit={t('app.save')}
      onClose={onClose}
      onSubmit={async () => {
        await members.change(member.id, { title: title.trim(), role, disabled });
        onChanged();
      }}
    >
      <Field
        label={t('members.displayName')}
        value={title}
        maxLength={100}
        onChange={(event) => setTitle(event.target.value)}
        autoComplete="off"
      />
      <RoleChoice value={role} onChange={setRole} />
      <label className="check">
        <input type="checkbox" checked={disabled} onChange={(event) => setDisabled(event.target.checked)} />
        <span>
          {t('members.disable')}
          <small>{t('members.disableHint')}</small>
        </span>
      </label>
    </FormDialog>
  );
}
