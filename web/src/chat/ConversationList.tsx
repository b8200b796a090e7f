// The history in the side bar: newest first, by time, searched on the server.

import { Fragment, useEffect, useId, useState } from 'react';
import { conversations } from '../api/endpoints';
import type { ConversationPage } from '../api/types';
import { type TextKey, useT } from '../i18n';
import { toDate } from '../lib/format';
import { useDebounced, useResource } from '../lib/resource';
import { useStore } from '../lib/store';
import { Button } from '../ui/Button';
import { ErrorNote, toastError } from '../ui/errors';
import { SearchField } from '../ui/parts';
import { ConversationMenu } from './ConversationMenu';
import { type Era, eraOf, listVersion } from './history';

const PAGE = 40;

const ERAS: Record<Era, TextKey> = {
  today: 'chat.today',
  yesterday: 'chat.yesterday',
  week: 'chat.week',
  month: 'chat.month',
  older: 'chat.older',
};

export function ConversationList({ current }: { current: string | null }) {
  const t = useT();
  const heading = useId();
  const [query, setQuery] = useState('');
  const q = useDebounced(query.trim(), 250);
  const version = useStore(listVersion);
  const list = useResource(`conversations ${q}`, (signal) => conversations.list({ q, limit: PAGE }, signal));
  const [more, setMore] = useState<ConversationPage | null>(null);
  const [busy, setBusy] = useState(false);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a change of the list is the event
  useEffect(() => {
    if (version > 0) void list.reload();
  }, [version]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the first page anew makes the later ones stale
  useEffect(() => setMore(null), [list.data]);

  const all = [...(list.data?.data ?? []), ...(more?.data ?? [])];
  const next = more ? more.next : list.data?.next;
  const loadMore = async () => {
    setBusy(true);
    try {
      const page = await conversations.list({ q, limit: PAGE, after: next ?? undefined });
      setMore((old) => ({ data: [...(old?.data ?? []), ...page.data], next: page.next }));
    } catch (error) {
      toastError(t, error);
    }
    setBusy(false);
  };

  const now = new Date();
  let era: Era | null = null;
  return (
    <section className="history" aria-labelledby={heading}>
      <h2 id={heading} className="visually-hidden">
        {t('chat.history')}
      </h2>
      <SearchField label={t('chat.searchHistory')} value={query} onChange={setQuery} />
      <div className="history-list">
        {list.error !== null && !list.data && <ErrorNote error={list.error} onRetry={() => void list.reload()} />}
        {list.data && all.length === 0 && (
          <p className="history-empty" role="status">
            {q ? t('chat.noMatch', { q }) : t('chat.noHistory')}
          </p>
        )}
        <ul>
          {all.map((conversation) => {
            const its = eraOf(toDate(conversation.updated_at) ?? now, now);
            const starts = its !== era;
            era = its;
            const title = conversation.title || t('chat.untitled');
            return (
              <Fragment key={conversation.id}>
                {starts && <li className="era">{t(ERAS[its])}</li>}
                <li className="history-item">
                  <a
                    href={`#/chat/${encodeURIComponent(conversation.id)}`}
                    aria-current={conversation.id === current ? 'page' : undefined}
                    title={title}
                  >
                    {title}
                  </a>
                  <ConversationMenu conversation={conversation} />
                </li>
              </Fragment>
            );
          })}
        </ul>
        {next && (
          <Button small look="quiet" busy={busy} onClick={() => void loadMore()}>
            {t('chat.loadMore')}
          </Button>
        )}
      </div>
    </section>
  );
}
