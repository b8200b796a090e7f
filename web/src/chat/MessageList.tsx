// The branch that is shown, and the answer that is coming.

import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import { useT } from '../i18n';
import { useStore } from '../lib/store';
import { Button } from '../ui/Button';
import { ErrorNote, toastError } from '../ui/errors';
import { Icon } from '../ui/Icon';
import { MessageView } from './MessageView';
import { RunView } from './RunView';
import type { ChatSession } from './session';
import { siblingsOf } from './tree';
import type { ChatModel } from './useChatModels';

const NEAR = 80;

export function MessageList({ session, models }: { session: ChatSession; models: ChatModel[] }) {
  const t = useT();
  const { path, tree, run, failure } = useStore(session.state);
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const stuck = useRef(true);
  const [away, setAway] = useState(false);
  const last = path[path.length - 1];

  // Follows the answer while the reader is at its end, and leaves whoever scrolled up alone.
  useLayoutEffect(() => {
    const box = scroller.current;
    const inner = content.current;
    if (!box || !inner) return;
    const follow = () => {
      if (stuck.current) box.scrollTop = box.scrollHeight;
      setAway(box.scrollHeight - box.scrollTop - box.clientHeight > 2 * NEAR);
    };
    const observer = new ResizeObserver(follow);
    observer.observe(inner);
    observer.observe(box);
    follow();
    return () => observer.disconnect();
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new answer, or another conversation, is the event
  useEffect(() => {
    const box = scroller.current;
    stuck.current = true;
    if (box) box.scrollTop = box.scrollHeight;
  }, [run?.parentId, session]);

  const scrolled = () => {
    const box = scroller.current;
    if (!box) return;
    const distance = box.scrollHeight - box.scrollTop - box.clientHeight;
    stuck.current = distance < NEAR;
    setAway(distance > 2 * NEAR);
  };

  const jump = () => {
    const box = scroller.current;
    stuck.current = true;
    box?.scrollTo({
      top: box.scrollHeight,
      behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth',
    });
  };

  const ran = useRef(false);
  const [announced, setAnnounced] = useState('');
  useEffect(() => {
    if (ran.current && !run) setAnnounced(t(failure ? 'chat.failed' : 'chat.done'));
    else if (run) setAnnounced('');
    ran.current = run !== null;
  }, [run, failure, t]);

  const guarded = (action: Promise<void>) => void action.catch((error: unknown) => toastError(t, error));
  const open = last?.role === 'user' && !run && failure?.parentId !== last.id ? last : null;
  const failedPart = failure && last?.role === 'assistant';

  return (
    <div className="messages-frame">
      <section
        ref={scroller}
        className="messages"
        onScroll={scrolled}
        aria-label={t('chat.messages')}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must be able to scroll it
        tabIndex={0}
      >
        <div ref={content} className="messages-inner">
          {path.map((message) => {
            const { index, all } = siblingsOf(tree, message.id);
            return (
              <MessageView
                key={message.id}
                message={message}
                index={index}
                total={all.length}
                speed={session.speeds.get(message.id)}
                busy={run !== null}
                session={session}
              />
            );
          })}
          {run && <RunView key={run.startedAt} run={run} models={models} />}
          {failure && (
            <ErrorNote
              error={failure.error}
              title={t(failedPart ? 'chat.failedPart' : 'chat.failed')}
              onRetry={run ? undefined : () => guarded(session.answer(failure.parentId))}
            />
          )}
          {open && (
            <div className="unanswered">
              <span>{t('chat.unanswered')}</span>
              <Button small icon="refresh" onClick={() => guarded(session.answer(open.id))}>
                {t('chat.answerNow')}
              </Button>
            </div>
          )}
        </div>
      </section>
      <div className="visually-hidden" aria-live="polite">
        {announced}
      </div>
      {away && (
        <button
          type="button"
          className="to-latest"
          onClick={jump}
          aria-label={t('chat.toLatest')}
          title={t('chat.toLatest')}
        >
          <Icon name="down" />
        </button>
      )}
    </div>
  );
}
