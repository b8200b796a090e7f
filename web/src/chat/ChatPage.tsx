// One conversation, or the start of one.

import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { useT } from '../i18n';
import { go } from '../lib/router';
import { useStore } from '../lib/store';
import { IconButton } from '../ui/Button';
import { ErrorNote, toastError } from '../ui/errors';
import { Empty, Loading } from '../ui/parts';
import { Composer, type ComposerHandle } from './Composer';
import { ConversationMenu } from './ConversationMenu';
import { readSetup, writeSetup } from './drafts';
import { MessageList } from './MessageList';
import { ModelMenu } from './ModelMenu';
import { readParams } from './params';
import { SettingsPanel } from './SettingsPanel';
import { adopt, ChatSession, type Setup, sessionOf } from './session';
import { chatModelNames, useChatModels } from './useChatModels';
import { Welcome } from './Welcome';

export function ChatPage({ id }: { id: string | null }) {
  const t = useT();
  const session = useMemo(() => (id ? sessionOf(id) : new ChatSession(null)), [id]);
  const state = useStore(session.state);
  const models = useChatModels();
  const [setup, setSetupState] = useState<Setup>(readSetup);
  const [settings, setSettings] = useState(false);
  const composer = useRef<ComposerHandle>(null);
  const { conversation, run } = state;

  useEffect(() => void session.load(), [session]);

  // The first answer has loaded the model; its mark should say so.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the end of an answer is the event
  useEffect(() => {
    if (run === null) models.reload();
  }, [run]);

  const setSetup = (change: Partial<Setup>) => {
    const next = { ...setup, ...change };
    setSetupState(next);
    writeSetup(next);
  };

  // A model that is gone gives way to the first that is there, but only in a conversation that has not begun.
  const known = models.list.some((model) => model.id === setup.model);
  const newModel = known ? setup.model : (models.list[0]?.id ?? '');
  const model = conversation ? (conversation.model ?? '') : newModel;

  const change = (patch: { model?: string; system?: string; params?: Setup['params'] }) => {
    if (!conversation) setSetup(patch);
    else session.patch(patch).catch((error: unknown) => toastError(t, error));
    if (patch.model) writeSetup({ ...setup, model: patch.model });
  };

  const send = async (text: string) => {
    try {
      if (!session.state.get().conversation) {
        // Whoever is faster than the list of models has asked the first of them.
        const model = newModel || ((await chatModelNames())[0]?.id ?? '');
        if (model === '') return false;
        const stored = await session.create({ ...setup, model }, text);
        adopt(stored.id, session);
        // The system prompt and parameters belonged to this conversation; the model stays for the next.
        writeSetup({ model, system: '', params: {} });
        setSetupState({ model, system: '', params: {} });
        go({ page: 'chat', id: stored.id }, true);
      }
      await session.send(text);
    } catch (error) {
      toastError(t, error);
      return false;
    }
    return true;
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: another conversation is the event
  const closeSettings = useCallback(() => setSettings(false), [id]);

  if (state.status === 'failed') {
    return (
      <div className="page">
        <h1 className="visually-hidden">{t('nav.chat')}</h1>
        <Empty icon="chat" title={t('chat.gone')}>
          <ErrorNote error={state.error} onRetry={() => void session.load()} />
          <a className="button primary" href="#/chat">
            {t('chat.new')}
          </a>
        </Empty>
      </div>
    );
  }

  const title = conversation ? conversation.title || t('chat.untitled') : t('chat.new');
  return (
    <div className={`chat${settings ? ' with-settings' : ''}`}>
      <div className="chat-main">
        <header className="chat-head">
          <h1 title={title}>{title}</h1>
          {conversation && <ConversationMenu conversation={conversation} align="end" />}
          <IconButton
            icon="sliders"
            label={t('chat.settings')}
            aria-expanded={settings}
            className={settings ? 'on' : ''}
            onClick={() => setSettings(!settings)}
          />
        </header>
        {state.status === 'loading' ? (
          <Loading />
        ) : state.path.length === 0 && !run ? (
          <Welcome models={models} onPick={(text) => composer.current?.fill(text)} />
        ) : (
          <MessageList session={session} models={models.list} />
        )}
        <Composer
          key={conversation?.id ?? 'new'}
          ref={composer}
          conversationId={conversation?.id ?? null}
          running={run !== null}
          disabled={model === '' && models.loaded}
          onSend={send}
          onStop={() => session.stop()}
        >
          <ModelMenu
            models={models.list}
            value={model}
            disabled={run !== null}
            onChange={(next) => change({ model: next })}
          />
        </Composer>
      </div>
      {settings && (
        <SettingsPanel
          key={conversation?.id ?? 'new'}
          system={conversation ? (conversation.system ?? '') : setup.system}
          params={conversation ? readParams(conversation.params) : setup.params}
          onChange={change}
          onClose={closeSettings}
        />
      )}
    </div>
  );
}
