// One stored message: read, copied, edited, answered again, and its branches.

import { type KeyboardEvent, memo, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { Message } from '../api/types';
import { useLang, useT } from '../i18n';
import { dateTime, number } from '../lib/format';
import { Composition } from '../lib/ime';
import { Markdown } from '../markdown/Markdown';
import { Button, IconButton } from '../ui/Button';
import { CopyButton } from '../ui/CopyButton';
import { toastError } from '../ui/errors';
import { Seal } from '../ui/Icon';
import { Reasoning } from './Reasoning';
import { splitReasoning } from './reasoning';
import type { ChatSession, Speed } from './session';

interface Props {
  message: Message;
  index: number;
  total: number;
  speed: Speed | undefined;
  busy: boolean;
  session: ChatSession;
}

export const MessageView = memo(function MessageView(props: Props) {
  const { message, session } = props;
  const t = useT();
  const lang = useLang();
  const [editing, setEditing] = useState(false);
  const editButton = useRef<HTMLButtonElement>(null);
  const mine = message.role === 'user';
  const answer = useMemo(() => splitReasoning(message.content), [message.content]);

  const leave = () => {
    setEditing(false);
    requestAnimationFrame(() => editButton.current?.focus());
  };

  return (
    <article className={`message ${mine ? 'mine' : 'theirs'}`} aria-label={t(mine ? 'chat.you' : 'chat.assistant')}>
      {!mine && <Seal size={26} />}
      <div className="message-body">
        {editing ? (
          <Editor
            text={message.content}
            onCancel={leave}
            onSend={(text) => {
              setEditing(false);
              session.edit(message.id, text).catch((error: unknown) => toastError(t, error));
            }}
          />
        ) : mine ? (
          <div className="bubble">{message.content}</div>
        ) : (
          <>
            {answer.reasoning && <Reasoning text={answer.reasoning} />}
            <Markdown text={answer.content} />
          </>
        )}
        {!editing && (
          <footer className="message-foot" title={dateTime(message.created_at, lang)}>
            {props.total > 1 && <Branches {...props} />}
            <CopyButton text={answer.content} label={t('chat.copyMessage')} />
            {mine ? (
              <IconButton
                ref={editButton}
                icon="edit"
                size={16}
                label={t('chat.edit')}
                disabled={props.busy}
                onClick={() => setEditing(true)}
              />
            ) : (
              <IconButton
                icon="refresh"
                size={16}
                label={t('chat.regenerate')}
                disabled={props.busy}
                onClick={() => void session.regenerate(message.id)}
              />
            )}
            {!mine && <Facts message={message} speed={props.speed} />}
          </footer>
        )}
      </div>
    </article>
  );
});

function Branches({ message, index, total, busy, session }: Props) {
  const t = useT();
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for forms
    <div className="branches" role="group" aria-label={t('chat.branch', { n: index + 1, total })}>
      <IconButton
        icon="left"
        size={14}
        label={t('chat.prevBranch')}
        disabled={busy || index === 0}
        onClick={() => session.switchBranch(message.id, -1)}
      />
      <span aria-hidden="true">
        {index + 1}/{total}
      </span>
      <IconButton
        icon="right"
        size={14}
        label={t('chat.nextBranch')}
        disabled={busy || index === total - 1}
        onClick={() => session.switchBranch(message.id, 1)}
      />
    </div>
  );
}

function Facts({ message, speed }: { message: Message; speed: Speed | undefined }) {
  const t = useT();
  const lang = useLang();
  const { usage, finish_reason: reason } = message;
  return (
    <span className="facts">
      {reason === 'length' && <b>{t('chat.cutOff')}</b>}
      {reason === 'cancelled' && <b>{t('chat.stopped')}</b>}
      {reason && !['stop', 'length', 'cancelled', 'tool_calls'].includes(reason) && <b>{t('chat.interrupted')}</b>}
      {message.model && <span>{message.model}</span>}
      {usage && (
        <span title={t('chat.tokensTitle')}>
          {t('chat.tokens', { prompt: usage.prompt_tokens ?? 0, completion: usage.completion_tokens ?? 0 })}
        </span>
      )}
      {speed?.tokensPerSec && <span>{t('chat.speed', { n: number(speed.tokensPerSec, lang, 1) })}</span>}
      {speed && <span>{t('chat.firstToken', { n: number(speed.firstTokenMs / 1000, lang, 2) })}</span>}
    </span>
  );
}

function Editor({
  text: before,
  onSend,
  onCancel,
}: {
  text: string;
  onSend: (text: string) => void;
  onCancel: () => void;
}) {
  const t = useT();
  const [text, setText] = useState(before);
  const field = useRef<HTMLTextAreaElement>(null);
  const ime = useRef(new Composition());

  useLayoutEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(before.length, before.length);
  }, [before]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text decides the height
  useLayoutEffect(() => {
    const area = field.current;
    if (!area) return;
    area.style.height = 'auto';
    area.style.height = `${area.scrollHeight}px`;
  }, [text]);

  const send = () => {
    if (text.trim() !== '') onSend(text.trim());
  };
  const key = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    const now = performance.now();
    if (event.key === 'Escape' && !ime.current.owns(event.nativeEvent, now)) onCancel();
    else if (ime.current.sends(event.nativeEvent, now)) {
      event.preventDefault();
      send();
    }
  };
  return (
    <form
      className="editor"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        aria-label={t('chat.editLabel')}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={key}
        onCompositionStart={() => ime.current.start()}
        onCompositionEnd={() => ime.current.end(performance.now())}
      />
      <div className="editor-row">
        <Button small look="quiet" onClick={onCancel}>
          {t('app.cancel')}
        </Button>
        <Button small look="primary" type="submit" disabled={text.trim() === ''}>
          {t('chat.editSend')}
        </Button>
      </div>
    </form>
  );
}
