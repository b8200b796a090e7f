// Where messages are written. Enter sends, but not while an input method is composing.

import {
  type KeyboardEvent,
  type ReactNode,
  type Ref,
  useEffect,
  useId,
  useImperativeHandle,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import { useT } from '../i18n';
import { Composition } from '../lib/ime';
import { Icon } from '../ui/Icon';
import { readDraft, writeDraft } from './drafts';

export interface ComposerHandle {
  /** Puts a text into the field, with the cursor at its end. */
  fill: (text: string) => void;
}

interface Props {
  ref?: Ref<ComposerHandle>;
  conversationId: string | null;
  running: boolean;
  disabled: boolean;
  /** False: it was not taken, and the text stays. */
  onSend: (text: string) => Promise<boolean>;
  onStop: () => void;
  children: ReactNode;
}

const TOUCH = matchMedia('(pointer: coarse)');

export function Composer({ ref, conversationId, running, disabled, onSend, onStop, children }: Props) {
  const t = useT();
  const id = useId();
  const [text, setText] = useState(() => readDraft(conversationId));
  const field = useRef<HTMLTextAreaElement>(null);
  const ime = useRef(new Composition());

  useEffect(() => writeDraft(conversationId, text), [conversationId, text]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the text decides the height
  useLayoutEffect(() => {
    const area = field.current;
    if (!area) return;
    area.style.height = 'auto';
    area.style.height = `${area.scrollHeight}px`;
  }, [text]);

  useEffect(() => {
    // A phone's keyboard would cover half of the page unasked.
    if (!TOUCH.matches) field.current?.focus({ preventScroll: true });
  }, []);

  useImperativeHandle(ref, () => ({
    fill: (next) => {
      setText(next);
      requestAnimationFrame(() => {
        field.current?.focus();
        field.current?.setSelectionRange(next.length, next.length);
      });
    },
  }));

  const send = async () => {
    const message = text.trim();
    if (message === '' || running || disabled) return;
    setText('');
    // Cleared here too: the first message of a new conversation takes this field away with it.
    writeDraft(conversationId, '');
    if (!(await onSend(message))) setText((now) => now || message);
  };

  const key = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (ime.current.sends(event.nativeEvent, performance.now())) {
      event.preventDefault();
      void send();
    }
  };

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div className="composer-box">
        <label htmlFor={id} className="visually-hidden">
          {t('chat.input')}
        </label>
        <textarea
          id={id}
          ref={field}
          rows={1}
          value={text}
          placeholder={t('chat.placeholder')}
          aria-describedby={`${id}-hint`}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={key}
          onCompositionStart={() => ime.current.start()}
          onCompositionEnd={() => ime.current.end(performance.now())}
        />
        <div className="composer-row">
          {children}
          {running ? (
            <button
              type="button"
              className="send stop"
              onClick={onStop}
              aria-label={t('chat.stop')}
              title={t('chat.stop')}
            >
              <Icon name="stop" />
            </button>
          ) : (
            <button
              type="submit"
              className="send"
              disabled={text.trim() === '' || disabled}
              aria-label={t('chat.send')}
              title={t('chat.send')}
            >
              <Icon name="send" />
            </button>
          )}
        </div>
      </div>
      <p className="composer-hint" id={`${id}-hint`}>
        <span className="keys-hint">{t('chat.hint')}</span> <span>{t('chat.disclaimer')}</span>
      </p>
    </form>
  );
}
