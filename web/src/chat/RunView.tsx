// The answer that is being streamed. Only this part draws anew with each frame.

import { useEffect, useRef, useState } from 'react';
import { replicas } from '../api/endpoints';
import { useT } from '../i18n';
import { useResource } from '../lib/resource';
import { useStore } from '../lib/store';
import { Markdown } from '../markdown/Markdown';
import { Seal } from '../ui/Icon';
import { Reasoning } from './Reasoning';
import type { Run } from './session';
import type { ChatModel } from './useChatModels';

export function RunView({ run, models }: { run: Run; models: ChatModel[] }) {
  const t = useT();
  const { reasoning, content } = useStore(run.text);
  const begun = reasoning !== '' || content !== '';
  return (
    <article className="message theirs running" aria-label={t('chat.assistant')} aria-busy="true">
      <Seal size={26} />
      <div className="message-body">
        {reasoning && <Reasoning text={reasoning} streaming={content === ''} />}
        {content && <Markdown text={content} streaming />}
        {!begun && <Waiting model={run.model} external={models.find((m) => m.id === run.model)?.external ?? false} />}
        <Announcer run={run} />
      </div>
    </article>
  );
}

/** Before the first token: says what is being waited for. */
function Waiting({ model, external }: { model: string; external: boolean }) {
  const t = useT();
  const { data } = useResource(`waiting ${model}`, (signal) => replicas.list(signal), 900);
  const all = external ? [] : (data?.data ?? []).filter((replica) => replica.model === model);
  const loading = all.find((replica) => replica.state === 'loading');
  const ready = all.some((replica) => replica.state === 'ready' || replica.state === 'idle');
  const queued = all.reduce((sum, replica) => sum + replica.queued, 0);
  let text = t('chat.waiting');
  if (loading && !ready) {
    text = loading.load_fraction
      ? t('chat.loadingModelAt', { percent: Math.round(loading.load_fraction * 100) })
      : t('chat.loadingModel');
  } else if (queued > 0) text = t('chat.queued', { n: queued });
  return (
    <p className="waiting" role="status">
      <span className="pulse" aria-hidden="true" /> {text}
    </p>
  );
}

const PAUSE_MS = 2000;

/** Reads the answer out for screen readers, politely: whole sentences, now and then, never token by token. */
function Announcer({ run }: { run: Run }) {
  const t = useT();
  const spoken = useRef(0);
  const [text, setText] = useState('');
  useEffect(() => {
    const timer = setInterval(() => {
      const { content } = run.text.get();
      const rest = content.slice(spoken.current);
      const end = Math.max(
        ...['. ', '.\n', '。', '！', '？', '! ', '? ', '\n\n'].map((mark) => rest.lastIndexOf(mark)),
      );
      if (end < 0) return;
      if (spoken.current === 0) setText(`${t('chat.started')} ${rest.slice(0, end + 1)}`);
      else setText(rest.slice(0, end + 1));
      spoken.current += end + 1;
    }, PAUSE_MS);
    return () => clearInterval(timer);
  }, [run, t]);
  return (
    <div className="visually-hidden" aria-live="polite">
      {text}
    </div>
  );
}
