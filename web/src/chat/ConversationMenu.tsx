// What can be done to a stored conversation: rename, export, delete.

import { useState } from 'react';
import { conversations } from '../api/endpoints';
import type { Conversation } from '../api/types';
import { useT } from '../i18n';
import { go, route } from '../lib/router';
import { FormDialog } from '../ui/Dialog';
import { toastError } from '../ui/errors';
import { Icon } from '../ui/Icon';
import { Menu } from '../ui/Menu';
import { Field } from '../ui/parts';
import { toast } from '../ui/toasts';
import { listChanged } from './history';
import { forget, sessionOf } from './session';

export function ConversationMenu({ conversation, align }: { conversation: Conversation; align?: 'start' | 'end' }) {
  const t = useT();
  const [dialog, setDialog] = useState<'rename' | 'delete' | null>(null);
  const [title, setTitle] = useState('');
  const shown = conversation.title || t('chat.untitled');

  const save = async (format: 'markdown' | 'json') => {
    try {
      await download(conversation, format);
    } catch (error) {
      toastError(t, error);
    }
  };

  return (
    <>
      <Menu
        label={t('chat.actions', { title: shown })}
        align={align}
        items={[
          {
            label: t('chat.rename'),
            icon: 'edit',
            onSelect: () => {
              setTitle(conversation.title);
              setDialog('rename');
            },
          },
          { label: t('chat.exportMarkdown'), icon: 'download', onSelect: () => void save('markdown') },
          { label: t('chat.exportJson'), icon: 'download', onSelect: () => void save('json') },
          { label: t('chat.delete'), icon: 'trash', danger: true, onSelect: () => setDialog('delete') },
        ]}
      >
        <Icon name="more" size={18} />
      </Menu>
      {dialog === 'rename' && (
        <FormDialog
          title={t('chat.renameTitle')}
          submit={t('app.save')}
          disabled={title.trim() === ''}
          onClose={() => setDialog(null)}
          onSubmit={async () => {
            await conversations.patch(conversation.id, { title: title.trim() });
            void sessionOf(conversation.id).load();
            listChanged();
            setDialog(null);
          }}
        >
          <Field
            label={t('chat.titleField')}
            value={title}
            maxLength={200}
            onChange={(event) => setTitle(event.target.value)}
            onFocus={(event) => event.target.select()}
            autoFocus
          />
        </FormDialog>
      )}
      {dialog === 'delete' && (
        <FormDialog
          title={t('chat.deleteTitle')}
          submit={t('chat.delete')}
          danger
          onClose={() => setDialog(null)}
          onSubmit={async () => {
            await conversations.remove(conversation.id);
            forget(conversation.id);
            setDialog(null);
            const here = route.get();
            if (here.page === 'chat' && here.id === conversation.id) go({ page: 'chat', id: null }, true);
            listChanged();
            toast(t('chat.deleted'));
          }}
        >
          <p>{t('chat.deleteText', { title: shown })}</p>
        </FormDialog>
      )}
    </>
  );
}

async function download(conversation: Conversation, format: 'markdown' | 'json'): Promise<void> {
  const response = await conversations.export(conversation.id, format);
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement('a');
  link.href = url;
  const name = [...(conversation.title || 'chat')]
    .slice(0, 60)
    .join('')
    .replace(/[\\/:*?"<>|\s]+/g, '-');
  link.download = `${name}.${format === 'markdown' ? 'md' : 'json'}`;
  link.click();
  URL.revokeObjectURL(url);
}
